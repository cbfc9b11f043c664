"""The converter's side of reading: kreuzberg, how it is asked, and what its errors mean."""

import re
from typing import Any, Literal

import kreuzberg

from ingest.blocks import Extraction, first_heading
from ingest.converted import PAGE_MARK, from_markdown
from ingest.decoding import scrub
from ingest.media_types import EPUB, unsupported
from rag_service.errors import UnreadableDocument

_INNER_LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\((?![a-z]+:)[^()\s]*\)")
# What programs write into the title of a file that was given none.
_NO_TITLE = re.compile(
    r"(?i)untitled\b.*|(?:powerpoint[ -])?presentation\d*|document\d*|sheet\d*|slide \d+|microsoft \w+"
)


def convert(data: bytes, media_type: str, name: str) -> Extraction:
    """Read a document by way of Markdown.

    Raises:
        UnreadableDocument: it is damaged, encrypted, or of a type that is not supported.
    """
    result = converted(data, media_type, name)
    pages = result.metadata.get("page_count") or result.metadata.get("slide_count") or None
    # Links from chapter to chapter lead nowhere outside the book.
    content = _INNER_LINK.sub(r"\1", result.content) if media_type == EPUB else result.content
    text, blocks, marked = from_markdown(content)
    title = clean_title(result.metadata.get("title")) or clean_title(first_heading(text, blocks))
    return Extraction(text, blocks, media_type, title, pages or marked)


def converted(
    data: bytes,
    media_type: str,
    name: str,
    *,
    output: Literal["markdown", "plain"] = "markdown",
    structure: bool = False,
) -> Any:
    """The converter's own result, with page marks in its content or, where asked for, its structure as a tree.

    Raises:
        UnreadableDocument: as for `convert`.
    """
    pages = None
    if output == "markdown":
        pages = kreuzberg.PageConfig(
            extract_pages=True, insert_page_markers=not structure, marker_format=PAGE_MARK
        )
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        output_format=output,
        include_document_structure=structure,
        pages=pages,
        # What stands near a page's edge is not always a running head: what is one, we tell by what it says.
        pdf_options=kreuzberg.PdfConfig(top_margin_fraction=0.0, bottom_margin_fraction=0.0),
        disable_ocr=True,
    )
    try:
        return kreuzberg.extract_bytes_sync(data, media_type, config=config)
    except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError) as error:
        raise _explained(error, name) from error


def clean_title(title: object) -> str | None:
    """A title as people would write it, or None where a program made it up."""
    if not isinstance(title, str):
        return None
    clean = re.sub(r"\s+", " ", scrub(title)).strip().removeprefix("Microsoft Word - ")
    return clean[:500] if clean and not _NO_TITLE.fullmatch(clean) else None


def _explained(error: Exception, name: str) -> UnreadableDocument:
    said = str(error).lower()
    if "password" in said or "encrypt" in said:
        return UnreadableDocument(
            f"{name} is protected by a password: remove the protection and upload it again.", code="encrypted"
        )
    if "limit exceeded" in said or "too large" in said:
        return UnreadableDocument(
            f"{name} unpacks to more than can be read: split it into smaller files.", code="too_much_text"
        )
    if "unsupported" in said or "mime" in said:
        return unsupported(name)
    return damaged(name)


def damaged(name: str) -> UnreadableDocument:
    """The error for a file that its own format's rules do not fit."""
    return UnreadableDocument(
        f"{name} is damaged or not what its name says: open it in the program that made it, save it anew and "
        "upload it again.",
        code="damaged_document",
    )
