"""Words of Persian and its neighbours in which letters that would join stand apart: می‌خواهم, کتاب‌ها.

What parts them, U+200C, shows nothing, and programs that make a PDF leave it out. The letters around it tell: they are
drawn as at the end and as at the beginning of a word, and mostly are as wide as there, and not as within a word.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

import regex

APART = "\u200c"

_DUAL = regex.compile(r"\p{Joining_Type=Dual_Joining}")
"""A letter that joins what is before it and what is behind it; others never join what is behind them."""

_PERSIAN = regex.compile("[پچژگکی]")
"""Arabic does not have these, and its words do not need the sign."""

_LEAST_JOINED = 0.25
"""So many of a letter's shapes within words have to differ from those at ends, else its width tells nothing."""

Word = Sequence["Letter"]
_Place = tuple[str, str, bool]


class Letter(Protocol):
    """A letter on a page, in the font of this name; `width` is in parts of its size."""

    text: str
    font: str

    @property
    def width(self) -> float: ...


def part(words: Sequence[Word]) -> None:
    """Put the sign behind each letter that stands apart from the next one of its word.

    `words` are those of one page, their letters in the order in which they are read.
    """
    if not any(_PERSIAN.match(letter.text) for word in words for letter in word):
        return
    begins = {_shape(word[0]) for word in words if word}
    ends = defaultdict[_Place, set[int]](set)
    within = defaultdict[_Place, Counter[int]](Counter)
    for word in words:
        for letter, behind, place in _places(word):
            if behind is None:
                ends[place].add(_width(letter))
            else:
                within[place][_width(letter)] += 1
    telling = {
        place
        for place, widths in within.items()
        if sum(count for width, count in widths.items() if width not in ends[place])
        >= _LEAST_JOINED * widths.total()
    }
    for word in words:
        for letter, behind, place in _places(word):
            looks_apart = place in telling and _width(letter) in ends[place]
            if looks_apart and behind is not None and _shape(behind) in begins:
                letter.text += APART


def _places(word: Word) -> Iterator[tuple[Letter, Letter | None, _Place]]:
    """The letters that can join the next one, that one, and all else that their shapes depend on."""
    joined = False
    for letter, behind in zip_longest(word, word[1:]):
        is_dual = bool(_DUAL.match(letter.text))
        if is_dual:
            yield letter, behind, (letter.font, letter.text[0], joined)
        joined = is_dual and not letter.text.endswith(APART)


def _shape(letter: Letter) -> tuple[str, str, int]:
    return letter.font, letter.text[0], _width(letter)


def _width(letter: Letter) -> int:
    return round(100 * letter.width)
