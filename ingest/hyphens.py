"""Words that were broken at the end of a line, put together again: in pieces nobody finds them."""

from collections.abc import Set
from dataclasses import dataclass, field

import regex

MARK = "\x02"
"""What PDFium says for a hyphen at the end of a line."""

_BROKEN = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}])([\p{{L}}\p{{M}}]+)(?:[-\u2010]\n(?:[^\S\n]*\n)?[^\S\n]*|{MARK}\s*)([\p{{Ll}}\p{{M}}]+)"
)
"""A gap between the lines may be there: nothing ends in a hyphen, or begins with a small letter."""
_BEFORE_OTHERS = regex.compile(rf"(?<=[\p{{L}}\p{{M}}\p{{N}}]){MARK}\s*(?=[\p{{Lu}}\p{{N}}])")
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_COMPOUND = regex.compile(r"[\p{L}\p{M}]+[-\u2010][\p{L}\p{M}]+")
_LEAST = 4
"""Letters of each half, where two words may be one that is written with a hyphen."""
_BEGINNINGS = frozenset(
    (
        "over",
        "under",
        "some",
        "every",
        "where",
        "there",
        "more",
        "with",
        "when",
        "what",
        "here",
        "then",
        "fore",
        "hand",
    )
)
"""Words with which others begin that are written without one."""


@dataclass(frozen=True)
class Written:
    """How words are written in a document: as one, or with a hyphen; in small letters."""

    words: Set[str] = field(default_factory=frozenset)
    compounds: Set[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, text: str) -> "Written":
        compounds = {word.lower().replace("\u2010", "-") for word in _COMPOUND.findall(text)}
        return cls({word.lower() for word in _WORD.findall(_BROKEN.sub(" ", text))}, compounds)

    def whole(self, first: str, rest: str) -> str:
        """The word of two halves.

        Of two that are words themselves, as `well` and `known`, the hyphen was there before the line ended.
        """
        one, two = first.lower(), rest.lower()
        if f"{one}-{two}" in self.compounds:
            return f"{first}-{rest}"
        if one + two in self.words:
            return first + rest
        are_words = min(len(one), len(two)) >= _LEAST and {one, two} <= self.words and one not in _BEGINNINGS
        return f"{first}-{rest}" if are_words or len(one) == 1 else first + rest


def rejoined(text: str, written: Written | None = None) -> str:
    """The text with its broken words whole. How they are written is told by it, or by the document that it is of."""
    if not any(end in text for end in ("-\n", "\u2010\n", MARK)):
        return text
    known = written or Written.of(text)
    return _BEFORE_OTHERS.sub("-", _BROKEN.sub(lambda broken: known.whole(broken[1], broken[2]), text))
