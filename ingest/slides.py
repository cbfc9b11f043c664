"""What the converter leaves out of slides: what a speaker noted below them, and the data of charts."""

import html
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import groupby
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from defusedxml.common import DefusedXmlException

from ingest.assembly import Assembly
from ingest.blocks import Extraction, Kind
from ingest.charts import chart_text
from ingest.decoding import scrub
from ingest.office_parts import relations

_SLIDE = re.compile(r"<p:sldId\b[^>]*\br:id=\"(\w+)\"")
_SHAPE = re.compile(r"<p:sp>(?:(?!</p:sp>).)*</p:sp>", re.DOTALL)
_BODY = re.compile(r"<p:ph\b[^>]*\btype=\"body\"")
_PARAGRAPH = re.compile(r"<a:p>(?:(?!</a:p>).)*</a:p>", re.DOTALL)
_TEXT = re.compile(r"<a:t>([^<]*)</a:t>")


def with_notes_and_charts(read: Extraction, data: bytes) -> Extraction:
    """The slides, each with its charts' data and its notes below it."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            added = {number: pieces for number, pieces in _added(archive) if pieces}
    except (BadZipFile, KeyError, RuntimeError, OSError, ValueError, EOFError, zlib.error):
        return read  # what cannot be read in this way has nothing to add
    if not added:
        return read
    put = Assembly()
    held = {page: list(found) for page, found in groupby(read.blocks, lambda block: block.page or 1)}
    for page in sorted({*held, *added}):
        for block in held.get(page, []):
            put.add(block.kind, read.text[block.start : block.end], block.level, page)
        for kind, piece in added.get(page, []):
            put.add(kind, piece, page=page)
    return replace(read, text=put.text, blocks=put.blocks)


def _added(archive: ZipFile) -> Iterator[tuple[int, list[tuple[Kind, str]]]]:
    """The number of each slide, with what is below it: its charts, then what the speaker noted."""
    targets = {key: target for key, _, target in relations(archive, "ppt/presentation.xml")}
    shown = _SLIDE.findall(archive.read("ppt/presentation.xml").decode())
    for number, key in enumerate(shown, 1):
        charts: list[tuple[Kind, str]] = []
        notes: list[tuple[Kind, str]] = []
        for _, kind, target in relations(archive, targets[key]):
            if kind.endswith("/notesSlide") and (said := _said(archive.read(target).decode())):
                notes.append(("paragraph", f"Notes: {said}"))
            elif kind.endswith("/chart"):
                charts += _chart(archive.read(target))
        yield number, charts + notes


def _chart(part: bytes) -> Iterator[tuple[Kind, str]]:
    try:
        title, tables = chart_text(part)
    except (ParseError, DefusedXmlException, ValueError):
        return  # one that is damaged does not cost the slide its notes
    if title:
        yield "paragraph", f"Chart: {title}"
    yield from (("table", table) for table in tables)


def _said(notes: str) -> str:
    bodies = [shape for shape in _SHAPE.findall(notes) if _BODY.search(shape)]
    lines = ["".join(_TEXT.findall(line)) for body in bodies for line in _PARAGRAPH.findall(body)]
    return scrub(html.unescape("\n".join(line for line in lines if line.strip()))).strip()
