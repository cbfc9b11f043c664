"""Cutting text into sentences, in any script."""

import regex

# A sentence ends at a full stop of any script, with the quotes, brackets and citation numbers behind it.
# `.` counts only before a space and not behind an abbreviation, an initial or a list number.
_END = regex.compile(
    r"""
    (?: (?<! \b\p{Lu}
            | \b(?:e\.g|i\.e|vs|etc|cf|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|Eq|approx|Inc|Ltd|al|pp|vol) | ^\s*\d{1,3} )
        [.]+ (?=["'”’»)\]]*(?:\s|$))
      | [!?…]+ (?=["'”’»)\]]*(?:\s|$))
      | [।॥؟۔።።။៕。！？｡]+
    )
    ["'”’»)\]」』]*
    (?:\s*\[\d{1,3}\])*
    """,
    regex.VERBOSE | regex.MULTILINE,
)
_BREAK = regex.compile(r"\n\s*\n|\n(?=\s*(?:[-*+•]|\d{1,3}[.)]|\|)\s)|(?<=\|)\s*\n")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The [start, end) characters of each sentence, white space trimmed; together they hold all of the text.

    A blank line, a list item and a table row end a sentence as a full stop does.
    """
    cuts = sorted(
        {match.end() for match in _END.finditer(text)} | {match.end() for match in _BREAK.finditer(text)}
    )
    spans = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        piece = text[start:end]
        if stripped := piece.strip():
            begin = start + len(piece) - len(piece.lstrip())
            spans.append((begin, begin + len(stripped)))
    return spans


_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+")


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, combining marks kept; character pairs where a script has no spaces."""
    found: list[str] = []
    for match in _WORD.finditer(text.lower()):
        word = match.group()
        if _UNSPACED.search(word):
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        else:
            found.append(word)
    return found
