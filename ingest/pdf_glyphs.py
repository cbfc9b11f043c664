"""Words of scripts whose letters are drawn as clusters, Bangla above all: PDFium reads gaps into them, and says some of
their letters twice. Where each glyph is an object of its own, as browsers print, its text and place tell better."""

from collections.abc import Iterator
from ctypes import c_float, c_ushort
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import regex
from pypdfium2 import raw

from ingest.decoding import scrub

_CLUSTERED = regex.compile(
    r"[\p{Bengali}\p{Devanagari}\p{Gujarati}\p{Gurmukhi}\p{Kannada}\p{Malayalam}\p{Oriya}\p{Sinhala}\p{Tamil}"
    r"\p{Telugu}]+"
)
_FEW = 20
_SHORT = 3.5
"""Letters and signs that a word has on average where it is broken up; whole ones have five."""
_LONGER = 1.2
"""So many times longer, on average, are the words of a page that gained by it."""
_WORD_GAP, _LINE_GAP, _PARAGRAPH_GAP = 0.3, 0.7, 1.9
"""Of the letters' size."""


@dataclass(frozen=True)
class _Glyph:
    text: str
    left: float
    right: float
    baseline: float
    size: float


def pages_with_whole_words(path: Path, pages: dict[int, str]) -> dict[int, str]:
    """Of these pages, as they were read, those whose words are broken up and can be told whole, with their text."""
    broken = {page: text for page, text in pages.items() if 0 < mean_length(text) < _SHORT}
    if not broken:
        return {}
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return {}
    try:
        told = {page: _told(document, page) for page in broken if page <= len(document)}
    finally:
        document.close()
    return {
        page: text for page, text in told.items() if mean_length(text) > _LONGER * mean_length(broken[page])
    }


def mean_length(text: str) -> float:
    """How long the words of such scripts are on average; 0 where there are few."""
    words = _CLUSTERED.findall(text)
    return sum(map(len, words)) / len(words) if len(words) >= _FEW else 0.0


def _told(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return ""
    try:
        return scrub("".join(_pieces(page))).strip()
    finally:
        page.close()


def _pieces(page: pypdfium2.PdfPage) -> Iterator[str]:
    """The glyphs' texts, and between them what parts words, lines and paragraphs."""
    last: _Glyph | None = None
    reach = 0.0
    is_space = False
    for glyph in _glyphs(page):
        if not glyph.text:
            is_space = is_space or glyph.right - glyph.left < 0.01 * glyph.size
            reach = max(reach, glyph.right)
            continue
        if last is not None:
            fall = abs(last.baseline - glyph.baseline)
            if (
                glyph.text == last.text
                and len(glyph.text) > 1
                and glyph.left < last.right
                and fall < glyph.size
            ):
                continue  # another part of the same cluster
            if fall > _LINE_GAP * glyph.size:
                yield "\n\n" if fall > _PARAGRAPH_GAP * glyph.size else "\n"
                reach = 0.0
            elif is_space or glyph.left - reach > _WORD_GAP * glyph.size:
                yield " "
        yield glyph.text
        last, reach, is_space = glyph, max(reach, glyph.right), False


def _glyphs(page: pypdfium2.PdfPage) -> Iterator[_Glyph]:
    text_page = page.get_textpage()
    size = c_float()
    try:
        for drawn in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
            length = raw.FPDFTextObj_GetText(drawn, text_page, None, 0)
            held = (c_ushort * max(1, length // 2))()
            raw.FPDFTextObj_GetText(drawn, text_page, held, length)
            text = bytes(held).decode("utf-16-le", errors="ignore").rstrip("\x00")
            left, _, right, _ = drawn.get_bounds()
            raw.FPDFTextObj_GetFontSize(drawn, size)
            matrix = drawn.get_matrix()
            yield _Glyph(text.strip(), left, right, matrix.f, abs(size.value * matrix.d) or 1.0)
    finally:
        text_page.close()
