"""Words of scripts whose letters are drawn as clusters, Bangla above all: PDFium reads gaps into them, and says some of
their letters twice, as it does with Thai. Where each glyph is an object of its own, as browsers print, its text and
place tell better."""

from collections.abc import Iterator
from ctypes import c_float, c_ushort
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import regex
from pypdfium2 import raw

from ingest.decoding import scrub
from ingest.pdf_pages import looked_at

_SCRIPTS = (
    r"\p{Bengali}\p{Devanagari}\p{Gujarati}\p{Gurmukhi}\p{Kannada}\p{Malayalam}\p{Oriya}\p{Sinhala}\p{Tamil}"
    r"\p{Telugu}"
)
_CLUSTERED = regex.compile(rf"[{_SCRIPTS}]+")
_SIGN = regex.compile(rf"[{_SCRIPTS}\p{{Thai}}\p{{Lao}}\p{{Khmer}}\p{{Myanmar}}]")
_TWICE = regex.compile(rf"({_SIGN.pattern}\p{{M}}+)\s?\1|{_SIGN.pattern}\s\p{{M}}")
"""What looks like a cluster that is said twice, or torn."""
_MOST_SAID_TWICE = 0.2
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
    is_apart: bool
    """Whether a space is before it."""
    ends: bool
    """Whether a space is behind it."""


def pages_with_whole_words(path: Path, pages: dict[int, str]) -> dict[int, str]:
    """Of these pages, as they were read, those whose words are broken up and can be told whole, with their text."""
    broken = {
        page: text for page, text in pages.items() if 0 < mean_length(text) < _SHORT or _TWICE.search(text)
    }
    told = looked_at(path, broken, _told)
    return {page: text for page, (text, plain) in told.items() if _is_better(text, plain, broken[page])}


def _is_better(told: str, plain: str, read: str) -> bool:
    once, signs = (len(_SIGN.findall(text)) for text in (told, plain))
    longer, usual = mean_length(told), mean_length(read)
    if (1 - _MOST_SAID_TWICE) * signs <= once < signs and longer >= usual:
        return True
    return longer > _LONGER * usual > 0


def mean_length(text: str) -> float:
    """How long the words of such scripts are on average; 0 where there are few."""
    words = _CLUSTERED.findall(text)
    return sum(map(len, words)) / len(words) if len(words) >= _FEW else 0.0


def _told(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage) -> tuple[str, str]:
    """The page's text as its glyphs tell it, and as PDFium does."""
    return scrub("".join(_pieces(page, text_page))).strip(), text_page.get_text_range()


def _pieces(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage) -> Iterator[str]:
    """The glyphs' texts, and between them what parts words, lines and paragraphs."""
    last: _Glyph | None = None
    reach = 0.0
    is_space = False
    for glyph in _glyphs(page, text_page):
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
            elif is_space or glyph.is_apart or glyph.left - reach > _WORD_GAP * glyph.size:
                yield " "
        yield glyph.text
        last, reach, is_space = glyph, max(reach, glyph.right), glyph.ends


def _glyphs(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage) -> Iterator[_Glyph]:
    size = c_float()
    for drawn in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
        length = raw.FPDFTextObj_GetText(drawn, text_page, None, 0)
        held = (c_ushort * max(1, length // 2))()
        raw.FPDFTextObj_GetText(drawn, text_page, held, length)
        text = bytes(held).decode("utf-16-le", errors="ignore").rstrip("\x00")
        left, _, right, _ = drawn.get_bounds()
        raw.FPDFTextObj_GetFontSize(drawn, size)
        matrix = drawn.get_matrix()
        # Behind a cluster, PDFium guesses spaces.
        edges = (False, False) if _SIGN.search(text) else (text[:1].isspace(), text[-1:].isspace())
        yield _Glyph(text.strip(), left, right, matrix.f, abs(size.value * matrix.d) or 1.0, *edges)
