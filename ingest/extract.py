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
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PAGE_MARK = "\n\n\ue000{page_num}\ue001\n\n"
_PAGE_MARK_FOUND = re.compile("\\s*\ue000(\\d+)\ue001\\s*")
# Control characters, lone surrogates, and the invisible tag letters that hide orders in a text.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufeff\U000e0000-\U000e007f]")
_NODE_KINDS: dict[str, Kind] = {"heading": "heading", "list_item": "list", "table": "table", "code": "code"}


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


def _is_text(data: bytes) -> bool:
    if any(data.startswith(bom) for bom, _ in _BOMS):
        return True
    return b"\x00" not in data[:65536] and not data.startswith((b"%PDF", b"PK\x03\x04", b"{\\rtf"))


def decode(data: bytes, name: str) -> str:
    """Bytes to text in whatever encoding they are.

    Raises:
        UnreadableDocument: no encoding fits.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        declared = re.search(rb"(?:charset|encoding)\s*=\s*[\"']?([\w-]+)", data[:2048])
    if declared:
        try:
            return data.decode(declared.group(1).decode())
        except (UnicodeDecodeError, LookupError):
            pass  # it says what it is not
    best = from_bytes(data[:200_000]).best()
    if best is None:
        raise UnreadableDocument(
            f"{name} is in no text encoding that is known here: save it as UTF-8 and upload it again.",
            code="unknown_encoding",
        )
    return data.decode(best.encoding, errors="replace")


def scrub(text: str) -> str:
    """Text that a database, a prompt and a reader can take: line ends unified, nothing invisible left."""
    joined = text.replace("\r\n", "\n").replace("\r", "\n")
    # PDFium marks the hyphen of a word broken at a line's end with U+0002: the word is joined again.
    return _INVISIBLE.sub("", re.sub("\x02\n?", "", joined))


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


def _from_nodes(nodes: Sequence[dict[str, Any]]) -> tuple[str, list[Block]]:
    """The text and blocks of a PDF from the extractor's tree, which knows pages and headings."""
    parts: list[str] = []
    blocks: list[Block] = []
    offset, page = 0, 1
    for node in nodes:
        content = node["content"]
        page = int(node.get("page") or page)
        piece = scrub(_node_text(content)).strip()
        if content["node_type"] == "group" or not piece:
            continue
        kind = _NODE_KINDS.get(content["node_type"], "paragraph")
        level = min(6, int(content.get("level") or 1)) if kind == "heading" else 0
        blocks.append(Block(kind, offset, offset + len(piece), level, page))
        parts.append(piece)
        offset += len(piece) + 2
    return "\n\n".join(parts), blocks


def _node_text(content: dict[str, Any]) -> str:
    if content["node_type"] != "table":
        return str(content.get("text") or "")
    grid = content["grid"]
    rows = [[""] * grid["cols"] for _ in range(grid["rows"])]
    for cell in grid["cells"]:
        rows[cell["row"]][cell["col"]] = re.sub(r"\s+", " ", cell["content"]).replace("|", "\\|").strip()
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines[:1], "|" + " --- |" * grid["cols"], *lines[1:]])


def _take_out_page_marks(text: str) -> tuple[str, list[int]]:
    """The text without page marks, and the offset at which each page begins."""
    parts: list[str] = []
    starts: list[int] = []
    length = at = 0
    for mark in _PAGE_MARK_FOUND.finditer(text):
        piece = text[at : mark.start()] + ("\n\n" if mark.start() > 0 else "")
        parts.append(piece)
        length += len(piece)
        starts += [length] * (int(mark.group(1)) - len(starts))
        at = mark.end()
    parts.append(text[at:])
    return "".join(parts), starts


def _pages_without_text(blocks: Sequence[Block], pages: int | None) -> list[str]:
    missing = sorted(set(range(1, (pages or 0) + 1)) - {block.page or 0 for block in blocks})
    if not missing or not blocks:
        return []
    shown = ", ".join(map(str, missing[:20])) + (" …" if len(missing) > 20 else "")
    return [f"No text on page {shown}: if it shows text, it is a picture of it."]


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
