"""Pages that show text instead of holding it: pictures, and the scanned pages of a PDF."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import kreuzberg

from ingest.assembly import Assembly
from ingest.blocks import Extraction, plain_blocks
from ingest.hyphens import rejoined
from ingest.limits import Budget, Limits
from ingest.ocr import Languages, Recognised, pages_of, recognise
from rag_service.errors import UnreadableDocument

DPI = 200
_INSTALL = (
    "install Debian's package tesseract-ocr (for Bangla also tesseract-ocr-ben) where the worker runs and load it "
    "again, or upload a version that holds its text"
)


@dataclass
class ScannedPages:
    """What was recognised, page by page, and what there is to say of it."""

    languages: Languages
    budget: Budget
    texts: dict[int, str] = field(default_factory=dict)
    doubtful: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def read(self, page: int, found: Recognised) -> None:
        self.texts[page] = rejoined(found.text)
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
    pages, put = ScannedPages(languages, Budget(limits)), Assembly()
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


def read_pages(path: Path, wanted: Sequence[int], pages: ScannedPages) -> None:
    """Recognise these pages of a PDF, as long as there is time."""
    for page in wanted:
        if not pages.budget.is_left():
            pages.skipped.append(page)
            continue
        try:
            picture = kreuzberg.render_pdf_page(str(path), page - 1, dpi=DPI)
        except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError):
            continue  # a page that cannot be drawn is one without text: the warning names it
        pages.read(page, recognise(picture, "image/png", pages.languages))
