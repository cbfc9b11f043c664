"""Minus signs of a PDF whose fonts do not tell what they are: they are seen, but no text has them."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pypdfium2
from pypdfium2 import raw

from ingest.pdf_layout import is_flat
from ingest.pdf_pages import looked_at

_NAMELESS = "\x00\x01\x03-\x08\x0e-\x1f"
"""Codes that stand for no letter. U+0002 is a hyphen at a line's end."""
_BEFORE_NUMBER = re.compile(rf"(?<!\w)[{_NAMELESS}](?=[ \t]?[\d.])")


def with_minus(path: Path, said: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Texts as they come, each with its page's number: a minus for each such sign before a number, if it is flat."""
    flat = looked_at(path, {page for page, text in said if _BEFORE_NUMBER.search(text)}, _flat)

    def named(page: int, text: str) -> str:
        return _BEFORE_NUMBER.sub(lambda sign: "-" if sign[0] in flat[page] else sign[0], text)

    return [(page, named(page, text) if page in flat else text) for page, text in said]


def _flat(_: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> str:
    votes = Counter[str]()
    for at in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text, at)
        if code < 0x20 and re.match(f"[{_NAMELESS}]", chr(code)):
            votes[chr(code)] += 1 if is_flat(text, at) else -1
    return "".join(sign for sign, balance in votes.items() if balance > 0)
