"""Signs of a PDF that the converter takes for ligatures of a broken font, and writes out: `Bard!` becomes `Bardfi`.

The pages as PDFium reads them, which it gives as well, tell what stands there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

_WRITTEN_OUT = {"!": "fi", "#": "fi", '"': "ffi", "*": "tt", ":": "ti"}
_SIGN = re.compile("[" + "".join(_WRITTEN_OUT) + "]")


def with_signs(said: Iterable[tuple[int, str]], pages: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Texts of pages, each with the number of its page, whose words are as they stand there."""
    known: dict[int, tuple[set[str], dict[str, str]]] = {}
    for page, text in said:
        if page not in known:
            words = set(pages.get(page, "").split())
            known[page] = words, {_written_out(word): word for word in sorted(words) if _SIGN.search(word)}
        yield page, _restored(text, *known[page])


def _restored(text: str, words: set[str], made: Mapping[str, str]) -> str:
    """The text with each word that is not on the page, but may be made of one with signs, as that one."""
    if not made:
        return text

    def right(word: re.Match[str]) -> str:
        return word[0] if word[0] in words else made.get(_written_out(word[0]), word[0])

    return re.sub(r"\S+", right, text)


def _written_out(word: str) -> str:
    return _SIGN.sub(lambda sign: _WRITTEN_OUT[sign[0]], word)
