"""Minus signs of a PDF whose fonts do not tell what they are: they are seen, but no text has them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pypdfium2
from pypdfium2 import raw

from ingest.pdf_layout import is_flat

_NAMELESS = "\x00\x01\x03-\x08\x0e-\x1f"
"""Codes that stand for no letter. U+0002 is a hyphen at a line's end."""
_BEFORE_NUMBER = re.compile(rf"(?<!\w)[{_NAMELESS}](?=[ \t]?[\d.])")


def flat_signs(path: Path, said: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Of pages with their texts, as they come: by page the signs without a name that are drawn as a minus is."""
    pages = {page for page, text in said if _BEFORE_NUMBER.search(text)}
    if not pages:
        return {}
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return {}
    try:
        return {page: _flat(document, page) for page in pages if page <= len(document)}
    finally:
        document.close()


def with_minus(text: str, page: int, signs: Mapping[int, str]) -> str:
    """The text of a page with a minus for each of these signs that stands before a number."""
    flat = signs.get(page, "")
    return _BEFORE_NUMBER.sub(lambda sign: "-" if sign[0] in flat else sign[0], text) if flat else text


def _flat(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return ""
    text = page.get_textpage()
    votes = Counter[str]()
    try:
        for at in range(text.count_chars()):
            code = raw.FPDFText_GetUnicode(text, at)
            if code < 0x20 and re.match(f"[{_NAMELESS}]", chr(code)):
                votes[chr(code)] += 1 if is_flat(text, at) else -1
    finally:
        text.close()
        page.close()
    return "".join(sign for sign, balance in votes.items() if balance > 0)
