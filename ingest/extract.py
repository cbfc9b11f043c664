"""From a file to text and blocks. Runs in a child process (`python -m ingest.extract`) that may be killed.

The child reads one JSON line a request, {"path", "name"}, and answers each with one JSON line:
{"extraction": …} or {"error": {"code", "detail"}}.
"""

import ctypes
import html
import json
import re
import resource
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import kreuzberg

from ingest.blocks import Extraction, code_block, first_heading, markdown_blocks, plain_blocks
from ingest.converted import PAGE_MARK, from_markdown, from_nodes, pages_without_text
from ingest.decoding import decode, is_text, scrub
from ingest.word_files import prepared, restored
from rag_service.errors import UnreadableDocument

MARKDOWN = {".md", ".markdown", ".mdx"}
HTML = {".html", ".htm", ".xhtml"}
_CONVERTED = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".rst": "text/x-rst",
    ".org": "text/x-org",
    ".rtf": "application/rtf",
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
_ARCHIVES = {
    "application/zip",
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/x-7z-compressed",
}
_SPREADSHEETS = {_PACKED[".xlsx"], _PACKED[".xls"]}
_HEAD = re.compile(r"(?is)<title\b[^>]*>.*?</title\s*>|<(?:meta|link|base)\b[^>]*>")
# What programs write into the title of a file that was given none.
_NO_TITLE = re.compile(
    r"(?i)untitled\b.*|(?:powerpoint[ -])?presentation\d*|document\d*|sheet\d*|slide \d+|microsoft \w+"
)


def extract(path: Path, name: str) -> Extraction:
    """Read a file. Its name only tells apart what the content cannot (Markdown from plain text).

    Raises:
        UnreadableDocument: no text can be had; the sentence names the file and the way out.
    """
    data = path.read_bytes()
    suffix = PurePosixPath(name.lower()).suffix
    extraction = _read_text(data, name, suffix) if is_text(data) else _read_binary(data, name, suffix)
    if not any(char.isalnum() for char in extraction.text):
        raise UnreadableDocument(
            f"{name} holds no text. If it is a scan or a picture, run it through text recognition (OCR) first "
            "and upload the result.",
            code="no_text",
        )
    return extraction


def _read_text(data: bytes, name: str, suffix: str) -> Extraction:
    text = scrub(decode(data, name))
    if not text.strip():
        raise UnreadableDocument(f"{name} is empty: upload a file that has content.", code="empty_document")
    if suffix in MARKDOWN:
        blocks = markdown_blocks(text)
        return Extraction(text, blocks, "text/markdown", _clean_title(first_heading(text, blocks)))
    if re.match(r"\s*(?:<!doctype html|<html)", text[:500], re.IGNORECASE) or suffix in HTML:
        return _read_html(text, name)
    if suffix == ".xml":
        return Extraction(text, code_block(text), "application/xml")
    if suffix == ".eml":  # each part of a message has an encoding of its own
        return _convert(data.replace(b"\r\n", b"\n"), "message/rfc822", name)
    if media_type := _CONVERTED.get(suffix):
        return _convert(text.encode(), media_type, name)
    return Extraction(text, plain_blocks(text), "text/plain")


def _read_html(text: str, name: str) -> Extraction:
    """A page without what its head says of it: the converter would make a heading of that."""
    title = re.search(r"(?is)<title\b[^>]*>(.*?)</title\s*>", text)
    read = _convert(_HEAD.sub("", text).encode(), "text/html", name)
    return replace(read, title=_clean_title(html.unescape(title.group(1))) if title else read.title)


def _read_binary(data: bytes, name: str, suffix: str) -> Extraction:
    if data.startswith(b"%PDF"):
        media_type = "application/pdf"
    elif data.startswith(b"{\\rtf"):
        media_type = "application/rtf"
    else:
        media_type = _PACKED.get(suffix) or _detect(data, name)
    if media_type.startswith("image/"):
        return Extraction("", [], media_type)  # what a converter says of a picture is not its text
    if media_type in _ARCHIVES:
        raise UnreadableDocument(
            f"{name} is an archive: unpack it and upload the files that are in it.", code="unsupported_type"
        )
    if media_type == _PACKED[".docx"]:
        read = _convert(prepared(data), media_type, name)
        return replace(read, text=restored(read.text), title=read.title and restored(read.title))
    return _convert(data, media_type, name)


def _detect(data: bytes, name: str) -> str:
    try:
        return str(kreuzberg.detect_mime_type_from_bytes(data))
    except (kreuzberg.KreuzbergError, ValueError, OSError, RuntimeError) as error:
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
            extract_pages=True, insert_page_markers=not is_pdf, marker_format=PAGE_MARK
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
        text, blocks = from_nodes(result.document["nodes"] if result.document else [])
        warnings = pages_without_text(blocks, pages)
    else:
        text, blocks, marked = from_markdown(result.content)
        pages, warnings = pages or marked, []
    if title is None and media_type not in _SPREADSHEETS:  # whose first heading is one sheet's name
        title = _clean_title(first_heading(text, blocks))
    return Extraction(text, blocks, media_type, title, pages, warnings)


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


def _clean_title(title: object) -> str | None:
    if not isinstance(title, str):
        return None
    clean = re.sub(r"\s+", " ", scrub(title)).strip().removeprefix("Microsoft Word - ")
    return clean[:500] if clean and not _NO_TITLE.fullmatch(clean) else None


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
