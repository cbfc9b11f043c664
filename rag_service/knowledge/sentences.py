"""Cutting text into sentences and words, in any script."""

import re
import unicodedata
from itertools import pairwise

import regex

_BOUNDARY = regex.compile(
    r"""
    # A table row and a heading stand for themselves, whatever is in them.
      (?P<line> ^ [^\S\n]* (?: \| .* \| [^\S\n]* | \#{1,6} [^\S\n] .* ) $ )

    # A full stop counts before a space, and not
    | (?: (?<! \b\p{Lu}                                                            # behind an initial,
             | \b(?: e\.g | i\.e | vs | cf | Dr | Mrs? | Ms | Prof | St | approx | ca )   # an abbreviation,
             | ^ \s* (?: \d{1,3} | \p{Ll} )                                        # a list's number or letter,
             | [.] )
          (?! (?<= \b(?: etc | al | Inc | Ltd | Co | Corp | Jr | Sr | a\.m | p\.m )) [.] \s+ [^\s\p{Lu}] )
          (?! (?<= \b(?: Nos? | Figs? | Eqs? | pp? | [Vv]ols? | Ch | Sec | Art )) [.] \s* \d )
          (?! [.]{2} [.]* \s+ \p{Ll} )                                             # or as dots in mid-sentence;
          [.]+
        | [!?…]+
      ) (?= ["'”’»)\]*_`]* (?: \[[\d,; ]+\] )* (?: \s | $ ) )
      ["'”’»)\]*_`]* (?: [^\S\n]* \[[\d,; ]+\] )*       # the quotes, brackets and citations behind it belong to it.

    # The stops of other scripts count wherever they are.
    | [\p{Sentence_Terminal}។៕--[.!?．၊]]+ ["'”’»)\]」』】）]* (?: [^\S\n]* \[[\d,; ]+\] )*

    # A blank line ends a sentence, and so does the beginning of a list item.
    | \n\s*\n
    | \n (?= \s* (?: [-*+•‣◦▪●] | \(? (?: \d{1,3} | \p{Ll} ) [.)] | \| ) \s )
    """,
    regex.VERBOSE | regex.MULTILINE | regex.VERSION1,
)
_NUMBER = regex.compile(r"\(?\d{1,3}[.)]")


def sentence_spans(text: str, begin: int = 0) -> list[tuple[int, int]]:
    """The [start, end) characters of each sentence from `begin` on, white space trimmed; together they hold all of it.

    A blank line, a heading, a list item and a table row end a sentence as a full stop does.
    """
    cuts = [begin]
    for match in _BOUNDARY.finditer(text, begin):
        cuts += match.span() if match["line"] else [match.end()]
    cuts.append(len(text))
    spans: list[tuple[int, int]] = []
    for start, end in pairwise(cuts):
        piece = text[start:end]
        if stripped := piece.strip():
            begin = start + len(piece) - len(piece.lstrip())
            end = begin + len(stripped)
            if spans and _NUMBER.fullmatch(text, *spans[-1]):
                begin, _ = spans.pop()  # a list's number within the line belongs to what it numbers
            spans.append((begin, end))
    return spans


_LETTERS = r"\p{L}\p{M}\p{N}"
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(
    rf"(?P<unspaced>[[{_UNSPACED}]&&[{_LETTERS}]]+)|[[{_LETTERS}]--[{_UNSPACED}]]+", regex.VERSION1
)
# The same, in a tenth and in a third of the time, of a text that holds nothing else.
_ASCII_WORD = re.compile("[a-z0-9]+")
_HAS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_SPACED_WORD = regex.compile(rf"[{_LETTERS}]+")


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, combining marks kept; character pairs where a script has no spaces.

    Letters that only look different to a computer (ligatures, full-width forms, a composed and a decomposed
    accent) are the same.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    if text.isascii():
        return _ASCII_WORD.findall(text)
    if not _HAS_UNSPACED.search(text):
        return _SPACED_WORD.findall(text)
    found: list[str] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if match["unspaced"]:
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        else:
            found.append(word)
    return found
