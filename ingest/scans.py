"""Documents that show text instead of holding it: pictures, and the scanned pages of a PDF."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import kreuzberg

from ingest.assembly import Assembly
from ingest.blocks import Block, Extraction, first_heading, plain_blocks
from ingest.conversion import clean_title, converted
from ingest.converted import from_nodes
from ingest.limits import Budget, Limits
from ingest.media_types import PDF
from ingest.ocr import Languages, Recognised, pages_of, recognise
from rag_service.errors import UnreadableDocument

DPI = 200
FEW_LETTERS = 50
"""A page with fewer may be a scan that was stamped or numbered: its picture is read as well."""

_INSTALL = (
    "install Debian's package tesseract-ocr (for Bangla also tesseract-ocr-ben) where the worker runs and load it "
    "again, or upload a version that holds its text"
)


@dataclass
class _Pages:
    """What was recognised, page by page, and what there is to say of it."""

    languages: Languages
    budget: Budget
    texts: dict[int, str] = field(default_factory=dict)
    doubtful: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def read(self, page: int, found: Recognised) -> None:
        self.texts[page] = found.text
        if found.is_doubtful:
            self.doubtful.append(page)

    def warnings(self, missing: Sequence[int]) -> list[str]:
        said = []
        if not self.languages.present:
            if missing:
                said.append(
                    f"No text on page {numbers(missing)}: if it shows text, it is a picture of it. To have it "
                    f"read, {_INSTALL}."
                )
            return said
        if missing := [page for page in missing if page not in self.skipped]:
            said.append(f"No text on page {numbers(missing)}: nothing was recognised on it either.")
        if self.skipped:
            said.append(
                f"Page {numbers(self.skipped)} was not read: recognising text took too long. Split the file, or "
                "raise RAG_EXTRACT_SECONDS and RAG_EXTRACT_CPU_SECONDS."
            )
        if self.doubtful:
            said.append(
                f"The text of page {numbers(self.doubtful)} was recognised with much doubt (as "
                f"{', '.join(self.languages.present)}): look at it before you rely on it."
            )
        return said + self.languages.warnings()


def numbers(pages: Sequence[int]) -> str:
    return ", ".join(map(str, pages[:20])) + (" …" if len(pages) > 20 else "")


def no_text(name: str, languages: Languages) -> UnreadableDocument:
    """The error for a file in which no text could be found, with the way out."""
    if not languages.present:
        why = f"If it is a scan or a picture: {_INSTALL}."
    else:
        why = (
            f"If it shows text, that was not recognised in {', '.join(languages.present)}: add its language to "
            "RAG_OCR_LANGUAGES and install Debian's package tesseract-ocr-LANGUAGE, or upload a sharper scan."
        )
        if languages.missing:
            why += f" Wanted, but not installed: {languages.packages}."
    return UnreadableDocument(f"{name} holds no text. {why}", code="no_text")


def read_picture(data: bytes, media_type: str, name: str, limits: Limits) -> Extraction:
    """The text on a picture.

    Raises:
        UnreadableDocument: none was recognised, or nothing that recognises it is installed.
    """
    languages = Languages.of(limits.ocr_languages)
    if not languages.present:
        raise no_text(name, languages)
    if media_type == "image/heic":
        raise UnreadableDocument(
            f"{name} is a picture in the format HEIC or AVIF, which cannot be read: save it as JPEG or PNG.",
            code="unsupported_type",
        )
    pages, put = _Pages(languages, Budget(limits)), Assembly()
    number = 0
    for number, page in enumerate(pages_of(data, media_type), 1):
        if not pages.budget.is_left():
            pages.skipped.append(number)
            continue
        pages.read(number, recognise(page, media_type, languages))
        text = pages.texts[number]
        put.include(text, plain_blocks(text), page=number)
    missing = [page for page, text in pages.texts.items() if not text]
    warnings = [] if len(missing) == number else pages.warnings(missing)
    return Extraction(put.text, put.blocks, media_type, None, number or None, warnings)


def read_pdf(path: Path, data: bytes, name: str, limits: Limits) -> Extraction:
    """A PDF: the text that its pages hold, and of pages that hold none the text that they show."""
    result = converted(data, PDF, name, structure=True)
    text, blocks = from_nodes(result.document["nodes"] if result.document else [])
    title = clean_title(result.metadata.get("title")) or clean_title(first_heading(text, blocks))
    count = int(result.metadata.get("page_count") or 0)
    letters = _letters(text, blocks)
    poor = [page for page in range(1, count + 1) if letters.get(page, 0) < FEW_LETTERS]
    scanned = _Pages(Languages.of(limits.ocr_languages), Budget(limits))
    if poor and scanned.languages.present:
        _recognise_pages(path, poor, scanned)
        better = {page: seen for page, seen in scanned.texts.items() if len(seen) > 2 * letters.get(page, 0)}
        text, blocks = _with_pages(text, blocks, better)
    missing = sorted(set(poor) - {block.page for block in blocks})
    warnings = scanned.warnings(missing) if blocks else []
    return Extraction(text, blocks, PDF, title, count or None, warnings)


def _letters(text: str, blocks: Iterable[Block]) -> dict[int, int]:
    """How many letters and digits each page holds."""
    found: dict[int, int] = {}
    for block in blocks:
        page = block.page or 1
        found[page] = found.get(page, 0) + sum(map(str.isalnum, text[block.start : block.end]))
    return found


def _recognise_pages(path: Path, wanted: Sequence[int], pages: _Pages) -> None:
    for page in wanted:
        if not pages.budget.is_left():
            pages.skipped.append(page)
            continue
        try:
            picture = kreuzberg.render_pdf_page(str(path), page - 1, dpi=DPI)
        except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError):
            continue  # a page that cannot be drawn is one without text: the warning names it
        pages.read(page, recognise(picture, "image/png", pages.languages))


def _with_pages(text: str, blocks: Sequence[Block], pages: dict[int, str]) -> tuple[str, list[Block]]:
    """The text with these pages in place of what was there of them."""
    if not pages:
        return text, list(blocks)
    held = {page: list(found) for page, found in groupby(blocks, lambda block: block.page or 1)}
    put = Assembly()
    for page in sorted({*held, *pages}):
        if page in pages:
            put.include(pages[page], plain_blocks(pages[page]), page=page)
            continue
        for block in held[page]:
            put.add(block.kind, text[block.start : block.end], block.level, page)
    return put.text, put.blocks
