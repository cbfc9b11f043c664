"""From a file to text and blocks. Runs in a child process (`python -m ingest.extract`) that may be killed.

The child reads one JSON line a request, {"path", "name"}, and answers each with one JSON line:
{"extraction": …} or {"error": {"code", "detail"}}.
"""

import ctypes
import json
import re
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import kreuzberg
from charset_normalizer import from_bytes

from ingest.blocks import Block, Extraction, Kind, markdown_blocks, plain_blocks
from rag_service.errors import UnreadableDocument

MARKDOWN = {".md", ".markdown", ".mdx"}
_CONVERTED = {
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".xml": "application/xml",
    ".json": "application/json",
    ".rst": "text/x-rst",
    ".org": "text/x-org",
    ".rtf": "application/rtf",
    ".eml": "message/rfc822",
}
# Files that are an archive inside look alike: their name tells them apart, and the converter refuses a wrong one.
_PACKED = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".epub": "application/epub+zip",
    ".doc": "application/msword",
    ".ppt": "application/vnd.ms-powerpoint",
    ".xls": "application/vnd.ms-excel",
    ".msg": "application/vnd.ms-outlook",
}


def extract(path: Path, name: str) -> Extraction:
    """Read a file. Its name only tells apart what the content cannot (Markdown from plain text).

    Raises:
        UnreadableDocument: no text can be had; the sentence names the file and the way out.
    """
    data = path.read_bytes()
    if not data.strip():
        raise UnreadableDocument(f"{name} is empty: upload a file that has content.", code="empty_document")
    suffix = PurePosixPath(name.lower()).suffix
    extraction = _read_text(data, name, suffix) if _is_text(data) else _read_binary(data, name, suffix)
    if not any(char.isalnum() for char in extraction.text):
        raise UnreadableDocument(
            f"{name} holds no text. If it is a scan or a picture, run it through text recognition (OCR) first "
            "and upload the result.",
            code="no_text",
        )
    return extraction


def _read_text(data: bytes, name: str, suffix: str) -> Extraction:
    text = scrub(decode(data, name))
    if suffix in MARKDOWN:
        blocks = markdown_blocks(text)
        return Extraction(text, blocks, "text/markdown", _first_heading(text, blocks))
    looks_like_html = re.match(r"\s*(?:<!doctype html|<html)", text[:500], re.IGNORECASE)
    media_type = "text/html" if looks_like_html else _CONVERTED.get(suffix)
    if media_type is None:
        return Extraction(text, plain_blocks(text), "text/plain")
    if media_type == "text/html":  # the text is UTF-8 by now, whatever it says of itself
        text = re.sub(r"(?i)(<meta[^>]*charset\s*=\s*[\"']?)[\w-]+", r"\1utf-8", text)
    return _convert(text.encode(), media_type, name)


def _read_binary(data: bytes, name: str, suffix: str) -> Extraction:
    if data.startswith(b"%PDF"):
        media_type = "application/pdf"
    elif data.startswith(b"{\\rtf"):
        media_type = "application/rtf"
    else:
        media_type = _PACKED.get(suffix) or _detect(data, name)
    if media_type.startswith("image/"):
        return Extraction("", [], media_type)  # what a converter says of a picture is not its text
    return _convert(data, media_type, name)


def _detect(data: bytes, name: str) -> str:
    try:
        return str(kreuzberg.detect_mime_type_from_bytes(data))
    except (kreuzberg.KreuzbergError, ValueError, OSError) as error:
        raise UnreadableDocument(
            f"{name} is of a type that is not supported: convert it to PDF, DOCX, HTML, Markdown or text.",
            code="unsupported_type",
        ) from error


def _convert(data: bytes, media_type: str, name: str) -> Extraction:
    is_pdf = media_type == "application/pdf"
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        output_format="markdown",
        include_document_structure=is_pdf,
        pages=kreuzberg.PageConfig(
            extract_pages=True, insert_page_markers=not is_pdf, marker_format=_PAGE_MARK
        ),
        disable_ocr=True,
    )
    try:
        result = kreuzberg.extract_bytes_sync(data, media_type, config=config)
    except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError) as error:
        raise _explained(error, name) from error
    title = _clean_title(result.metadata.get("title"))
    pages = result.metadata.get("page_count") or result.metadata.get("slide_count") or None
    if is_pdf:
        text, blocks = _from_nodes(result.document["nodes"] if result.document else [])
        warnings = _pages_without_text(blocks, pages)
    else:
        text, page_starts = _take_out_page_marks(scrub(result.content))
        blocks, warnings = markdown_blocks(text, page_starts), []
    return Extraction(text, blocks, media_type, title or _first_heading(text, blocks), pages, warnings)


def _explained(error: Exception, name: str) -> UnreadableDocument:
    said = str(error).lower()
    if "password" in said or "encrypt" in said:
        return UnreadableDocument(
            f"{name} is protected by a password: remove the protection and upload it again.", code="encrypted"
        )
    if "unsupported" in said or "mime" in said:
        return UnreadableDocument(
            f"{name} is of a type that is not supported: convert it to PDF, DOCX, HTML, Markdown or text.",
            code="unsupported_type",
        )
    return UnreadableDocument(
        f"{name} is damaged or not what its name says: open it in the program that made it, save it anew and "
        "upload it again.",
        code="damaged_document",
    )


def _first_heading(text: str, blocks: Sequence[Block]) -> str | None:
    first = next((block for block in blocks if block.kind == "heading"), None)
    return _clean_title(text[first.start : first.end].strip("#= -\n")) if first else None


def _clean_title(title: object) -> str | None:
    if not isinstance(title, str):
        return None
    return re.sub(r"\s+", " ", scrub(title)).strip()[:500] or None


def _answer(line: str) -> dict[str, Any]:
    request = json.loads(line)
    try:
        return {"extraction": asdict(extract(Path(request["path"]), request["name"]))}
    except UnreadableDocument as error:
        return {"error": {"code": error.code, "detail": error.detail}}


def serve(requests: TextIO, answers: TextIO, memory_mb: int) -> None:
    """Answer requests until the parent is gone, within a memory limit."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the worker
        limit = memory_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    for line in requests:
        answers.write(json.dumps(_answer(line)) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Libraries may print: what they say must not end up among the answers.
    _answers = sys.stdout
    sys.stdout = sys.stderr
    serve(sys.stdin, _answers, int(sys.argv[1]))
