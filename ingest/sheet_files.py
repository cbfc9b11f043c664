"""Workbooks made ready for the converter, which gives numbers as they are stored: 0.256 where a reader sees 25.6 %."""

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape
from zipfile import BadZipFile, ZipFile

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ingest.number_formats import BUILT_IN, shown

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CELL = re.compile(
    rb"<c((?:\s+\w+=\"[^\"<>]*\")+)\s*>(?:<f\b[^<>]*(?:/>|>[^<>]*</f>))?<v>([-+.\deE]+)</v></c>"
)
_ATTRIBUTE = re.compile(r"(\w+)=\"([^\"]*)\"")


def as_shown(data: bytes) -> bytes:
    """The workbook with the numbers of its sheets as texts that say what a reader sees, where that is something else.

    What cannot be read as a workbook comes back as it is: the converter says what is wrong with it.
    """
    ready = BytesIO()
    try:
        with ZipFile(BytesIO(data)) as old:
            formats = _formats(old.read("xl/styles.xml"))
            if not formats:
                return data
            with ZipFile(ready, "w") as new:
                for item in old.infolist():
                    content = old.read(item)
                    is_sheet = item.filename.startswith("xl/worksheets/") and item.filename.endswith(".xml")
                    new.writestr(item, _rewritten(content, formats) if is_sheet else content)
    except (
        BadZipFile,
        KeyError,
        RuntimeError,
        OSError,
        ValueError,
        EOFError,
        zlib.error,
        ParseError,
        DefusedXmlException,
    ):
        return data
    return ready.getvalue()


def _formats(styles: bytes) -> dict[str, str]:
    """The format of each style by its number, for those styles whose cells may show something else than they hold."""
    root = fromstring(styles)
    codes = dict(BUILT_IN)
    for one in root.iter(f"{_MAIN}numFmt"):
        codes[int(one.get("numFmtId", "0"))] = one.get("formatCode", "")
    cells = root.find(f"{_MAIN}cellXfs")
    named = [int(style.get("numFmtId", "0")) for style in (cells if cells is not None else ())]
    return {
        str(at): codes[name]
        for at, name in enumerate(named)
        if codes.get(name, "General") not in ("General", "@", "0", "#")
    }


def _rewritten(sheet: bytes, formats: Mapping[str, str]) -> bytes:
    as_text = lru_cache(maxsize=10_000)(shown)

    def cell(found: re.Match[bytes]) -> bytes:
        attributes = dict(_ATTRIBUTE.findall(found[1].decode()))
        code = formats.get(attributes.get("s", ""))
        if code is None or attributes.get("t", "n") != "n":
            return found[0]
        text = as_text(code, found[2].decode())
        if text is None:
            return found[0]
        place = f'r="{attributes["r"]}" ' if "r" in attributes else ""
        return f'<c {place}t="inlineStr"><is><t>{escape(text)}</t></is></c>'.encode()

    return _CELL.sub(cell, sheet)
