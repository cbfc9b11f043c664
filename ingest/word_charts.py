"""Charts of a Word file, as tables of the numbers that they draw: the converter leaves charts out."""

import html
import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import ParseError
from zipfile import ZipFile

from defusedxml.common import DefusedXmlException

from ingest.charts import chart_rows
from ingest.office_parts import relations

_CHART = re.compile(r"<c:chart\b[^>]*\br:id=\"(\w+)\"")
_END = re.compile(
    r"</w:p>(?=\s*(?:<w:(?:p|tbl|sectPr|sdt|bookmark\w+)\b|</w:(?:body|tc|sdtContent|hdr|ftr)>))"
)
"""Of a paragraph behind which another may stand, or a table."""


def charts_of(archive: ZipFile, part: str) -> dict[str, str]:
    """By the ids that a part of the file refers to them with, its charts as what Word would write for such tables."""
    names = set(archive.namelist())
    found = {
        key: _tables(archive.read(target))
        for key, kind, target in relations(archive, part)
        if kind.endswith("/chart") and target in names
    }
    return {key: tables for key, tables in found.items() if tables}


def with_charts(xml: str, charts: Mapping[str, str]) -> str:
    """The part with each chart's tables below the paragraph in which it stands."""
    if not charts:
        return xml
    parts, at = list[str](), 0
    for chart in _CHART.finditer(xml):
        end = _END.search(xml, chart.end())
        if end and chart[1] in charts:
            parts += [xml[at : end.end()], charts[chart[1]]]
            at = max(at, end.end())
    return "".join([*parts, xml[at:]])


def _tables(part: bytes) -> str:
    try:
        title, tables = chart_rows(part)
    except (ParseError, DefusedXmlException):
        return ""  # one that is damaged does not cost the document its text
    head = _paragraph(f"Chart: {title}") if title else ""
    # Two tables with nothing between them would be one.
    return head + "".join(f"<w:tbl>{''.join(map(_row, rows))}</w:tbl><w:p/>" for rows in tables)


def _row(cells: Sequence[str]) -> str:
    return f"<w:tr>{''.join(f'<w:tc>{_paragraph(cell)}</w:tc>' for cell in cells)}</w:tr>"


def _paragraph(text: str) -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{html.escape(text, quote=False)}</w:t></w:r></w:p>'
