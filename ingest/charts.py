"""The numbers that a chart of an Office file draws, as tables: the converter leaves charts out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from ingest.decoding import scrub
from ingest.number_formats import shown
from ingest.sheets import markdown_table

_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_MOST_POINTS = 1_000


@dataclass(frozen=True)
class _Series:
    """One row of a chart's data: its name, and the values at its categories."""

    name: str
    categories: Sequence[str]
    values: Sequence[str]


def chart_text(part: bytes) -> tuple[str, list[str]]:
    """A chart's title, and its data as tables in Markdown. Raises as `chart_rows` does."""
    title, tables = chart_rows(part)
    return title, [markdown_table(rows) for rows in tables]


def chart_rows(part: bytes) -> tuple[str, list[list[list[str]]]]:
    """A chart's title, and the rows of its data: a table for all series that have the same categories.

    Raises:
        ParseError, DefusedXmlException, ValueError: it is not well formed.
    """
    root = fromstring(part)
    tables: dict[tuple[str, ...], list[_Series]] = {}
    for series in _series(root):
        tables.setdefault(tuple(series.categories), []).append(series)
    return _title(root), [_table(categories, drawn) for categories, drawn in tables.items()]


def _title(root: Element) -> str:
    title = root.find(f"{_CHART}chart/{_CHART}title")
    words = (run.text or "" for run in title.iter(f"{_DRAWING}t")) if title is not None else ()
    return " ".join(scrub("".join(words)).split())


def _series(root: Element) -> Iterator[_Series]:
    for one in root.iter(f"{_CHART}ser"):
        values = _points(one, "val") or _points(one, "yVal")
        if values:
            name = one.find(f"{_CHART}tx")
            said = next((v.text or "" for v in name.iter(f"{_CHART}v")), "") if name is not None else ""
            categories = _points(one, "cat") or _points(one, "xVal")
            at = sorted({*values, *categories})[:_MOST_POINTS]
            yield _Series(
                scrub(said), [categories.get(n, str(n + 1)) for n in at], [values.get(n, "") for n in at]
            )


def _points(series: Element, kind: str) -> dict[int, str]:
    """The points of a series by their number. Of categories in several levels the innermost counts."""
    found = series.find(f"{_CHART}{kind}")
    level = next(found.iter(f"{_CHART}lvl"), found) if found is not None else None
    if level is None:
        return {}
    code = next((one.text or "" for one in level.iter(f"{_CHART}formatCode")), "")
    points: dict[int, str] = {}
    for point in level.iter(f"{_CHART}pt"):
        value = point.findtext(f"{_CHART}v") or ""
        points[int(point.get("idx", "0"))] = scrub(shown(code, value) or value)
    return points


def _table(categories: Sequence[str], drawn: Sequence[_Series]) -> list[list[str]]:
    rows = zip(categories, *(series.values for series in drawn), strict=True)
    return [["", *(series.name for series in drawn)], *(list(row) for row in rows)]
