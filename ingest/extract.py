"""From a file to text and blocks. Runs in a child process (`python -m ingest.extract`) that may be killed."""

import html
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from ingest.blocks import Extraction, code_block, first_heading, markdown_blocks, plain_blocks
from ingest.conversion import clean_title, convert, converted
from ingest.decoding import decode, is_text, scrub
from ingest.limits import Limits
from ingest.mail import from_eml, from_msg, is_mail
from ingest.media_types import DOC, DOCX, MSG, PACKED, PDF, PPTX, SPREADSHEETS, XLSX, by_magic, of_binary
from ingest.messages import DEEPEST, read_message
from ingest.ocr import Languages
from ingest.pdf import read_pdf
from ingest.scans import no_text, read_picture
from ingest.sheet_files import as_shown
from ingest.sheets import read_csv, read_workbook
from ingest.slides import with_notes_and_charts
from ingest.unpacked import check_unpacked
from ingest.word_files import prepared, restored
from ingest.word_rows import with_rows
from rag_service.errors import UnreadableDocument

MARKDOWN = {".md", ".markdown", ".mdx"}
HTML = {".html", ".htm", ".xhtml"}
_CSV = {".csv": "text/csv", ".tsv": "text/tab-separated-values", ".tab": "text/tab-separated-values"}
_CONVERTED = {
    ".json": "application/json",
    ".rst": "text/x-rst",
    ".org": "text/x-org",
}
# No part of these may run on through a whole file from each of its beginnings.
_TITLE = re.compile(r"(?is)<title\b[^<>]*>(.{0,2000}?)</title\s*>")
_HEAD = re.compile(_TITLE.pattern + r"|<(?:meta|link|base)\b[^<>]*>")
_IS_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,200}?-->\s*)?<(?:!doctype html|html)\b", re.IGNORECASE
)
_FIELD = re.compile(r"[^\S\t]*\b(?:HYPERLINK|PAGEREF|REF|TOC)\s+(?:\\[a-z]\s+)?\"[^\"\n]*\"(?:\s+\\[a-z])*")


def extract(path: Path, name: str, limits: Limits = Limits()) -> Extraction:  # noqa: B008 - it cannot change
    """Read a file. Its name only tells apart what the content cannot (Markdown from plain text).

    Raises:
        UnreadableDocument: no text can be had; the sentence names the file and the way out.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableDocument(
            f"{name} is not in the file store any more: upload it again.", code="file_missing"
        ) from error
    is_pdf = by_magic(data) == PDF
    found = read_pdf(path, data, name, limits) if is_pdf else _read(data, name, limits, DEEPEST)
    if not any(map(str.isalnum, found.text)):
        if is_pdf or found.media_type.startswith("image/"):
            raise no_text(name, Languages.of(limits.ocr_languages))
        raise UnreadableDocument(
            f"{name} holds no text: if it shows some on pictures, save it as PDF and upload that.",
            code="no_text",
        )
    return found


def _read(data: bytes, name: str, limits: Limits, depth: int) -> Extraction:
    suffix = PurePosixPath(name.lower()).suffix
    if by_magic(data) is None and is_text(data):
        return _read_text(data, name, suffix, limits, depth)
    media_type = of_binary(data, suffix, name)
    if media_type.startswith("image/"):
        return read_picture(data, media_type, name, limits)
    if media_type in PACKED:
        check_unpacked(data, name, 2 * limits.text_mb)
    if media_type in SPREADSHEETS:
        ready = as_shown(data) if media_type == XLSX else data
        return read_workbook(converted(ready, media_type, name).content, media_type, limits.rows)
    if media_type == DOCX:
        read = convert(prepared(data), media_type, name)
        return replace(read, text=restored(read.text), title=read.title and restored(read.title))
    if media_type == PPTX:
        return with_notes_and_charts(convert(data, media_type, name), data)
    if media_type == DOC:
        return _read_doc(data, name)
    if media_type == MSG:
        return _read_mail(data, name, media_type, limits, depth)
    return convert(data, media_type, name)


def _read_text(data: bytes, name: str, suffix: str, limits: Limits, depth: int) -> Extraction:
    if suffix == ".eml" or is_mail(data):  # each part of a message has an encoding of its own
        return _read_mail(data, name, "message/rfc822", limits, depth)
    text = scrub(decode(data, name))
    if not text.strip():
        raise UnreadableDocument(f"{name} is empty: upload a file that has content.", code="empty_document")
    if suffix in MARKDOWN:
        blocks = markdown_blocks(text)
        return Extraction(text, blocks, "text/markdown", clean_title(first_heading(text, blocks)))
    if _IS_HTML.match(text[:1000]) or suffix in HTML:
        return _read_html(text, name)
    if suffix == ".xml" or text.startswith("<?xml"):
        return Extraction(text, code_block(text), "application/xml")
    if media_type := _CSV.get(suffix):
        return read_csv(text, media_type, limits.rows)
    if media_type := _CONVERTED.get(suffix):
        return convert(text.encode(), media_type, name)
    return Extraction(text, plain_blocks(text), "text/plain")


def _read_html(text: str, name: str) -> Extraction:
    """A page without what its head says of it: the converter would make a heading of that."""
    title = _TITLE.search(text)
    read = convert(_HEAD.sub("", text).encode(), "text/html", name)
    return replace(read, title=clean_title(html.unescape(title.group(1))) if title else read.title)


def _read_doc(data: bytes, name: str) -> Extraction:
    """An older Word file, line by line: as Markdown its lines would run together."""
    result = converted(data, DOC, name, output="plain")
    text, blocks = with_rows(_FIELD.sub(" ", scrub(result.content)))
    return Extraction(text, blocks, DOC, clean_title(result.metadata.get("title")))


def _read_mail(data: bytes, name: str, media_type: str, limits: Limits, depth: int) -> Extraction:
    mail = from_msg(data, name) if media_type == MSG else from_eml(data, name)
    if not (mail.subject or mail.headers or mail.attachments or any(text.strip() for _, text in mail.bodies)):
        raise UnreadableDocument(f"{name} is empty: upload a file that has content.", code="empty_document")
    read = partial(_read_attachment, limits=limits, depth=depth - 1) if depth > 0 else None
    return read_message(mail, media_type, lambda data, name: _read_html(data.decode(), name), read)


def _read_attachment(data: bytes, name: str, limits: Limits, depth: int) -> Extraction:
    if by_magic(data) == PDF:
        return convert(data, PDF, name)
    return _read(data, name, limits, depth)


if __name__ == "__main__":
    from ingest.serving import serve

    serve(extract, *sys.argv[1:])
