"""Tables that are whole files: CSV, and the sheets of a workbook. Row by row, since they may be very long."""

import csv
import re
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice

from ingest.assembly import Assembly
from ingest.blocks import Extraction
from ingest.converted import cleaned
from ingest.decoding import scrub

_DELIMITERS = ",;\t|"
_SAMPLE = 64 * 1024
_LONGEST_CELL = 8_000
_DECLARED = re.compile(r"\Asep=(.)\n", re.IGNORECASE)
_MIDNIGHT = re.compile(r"(?<=\d{4}-\d\d-\d\d) 00:00:00(?= \|)")
_NO_DAY = re.compile(r"(?<=\| )1899-12-3[01] (?=\d\d:\d\d:\d\d \|)")
"""A time of day counts from the day before a workbook's first."""


def read_csv(text: str, media_type: str, rows: int) -> Extraction:
    """A CSV or TSV as a table: its first row is the header, at most `rows` stand below it."""
    declared = _DECLARED.match(text)
    if declared:
        text, delimiter = text[declared.end() :], declared.group(1)
    else:
        delimiter = "\t" if media_type.startswith("text/tab") else _delimiter(text[:_SAMPLE])
    # Longer than any real cell is only what a quote swallowed that nobody closed.
    csv.field_size_limit(_LONGEST_CELL)
    try:
        found = list(islice(_filled(csv.reader(StringIO(text), delimiter=delimiter)), rows + 2))
    except csv.Error:
        csv.field_size_limit(len(text) + 1)
        reader = csv.reader(StringIO(text), delimiter=delimiter, quoting=csv.QUOTE_NONE)
        found = list(islice(_filled(reader), rows + 2))
    warnings = [cut_short("The table", rows)] if len(found) > rows + 1 else []
    put = Assembly()
    put.add("table", markdown_table(found[: rows + 1]))
    return Extraction(put.text, put.blocks, media_type, warnings=warnings)


def read_workbook(content: str, media_type: str, rows: int) -> Extraction:
    """The sheets of a workbook out of the converter's Markdown: a heading each, and below it a table."""
    put = Assembly()
    warnings: list[str] = []
    sheet = "The sheet"
    for is_table, lines in _runs(scrub(content)):
        if not is_table:
            for line in lines:
                if line.startswith("## "):
                    sheet = line[3:].strip()
                    put.add("heading", cleaned("heading", line), 2)
                else:
                    put.add("paragraph", cleaned("paragraph", line))
            continue
        filled = [line for line in lines if line.strip("| ")]
        if len(filled) > rows + 2:  # the header and the rule below it
            warnings.append(cut_short(f"The sheet {sheet}", rows))
        table = cleaned("table", "\n".join(filled[: rows + 2]))
        put.add("table", _NO_DAY.sub("", _MIDNIGHT.sub("", table)))
    return Extraction(put.text, put.blocks, media_type, warnings=warnings)


def cut_short(what: str, rows: int) -> str:
    return f"{what} was cut short behind {rows:,} rows: split it, or raise RAG_EXTRACT_ROWS."


def _delimiter(sample: str) -> str:
    """The sign that parts most rows into the same number of cells, more than one."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in islice(_filled(csv.reader(StringIO(sample), delimiter=delimiter)), 20)]
        common = max(set(widths), key=widths.count) if widths else 1
        return (widths.count(common), common) if common > 1 else (0, 0)

    csv.field_size_limit(len(sample) + 1)
    return max(_DELIMITERS, key=score)


def _filled(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    return (row for row in rows if any(cell.strip() for cell in row))


def markdown_table(rows: list[list[str]]) -> str:
    """The rows as a table of Markdown; the first is its header."""
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [_line(row + [""] * (width - len(row))) for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _line(cells: Iterable[str]) -> str:
    line = "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
    return line.replace("|  |", "| |").replace("|  |", "| |")  # twice, since empty cells overlap


def _runs(content: str) -> Iterator[tuple[bool, list[str]]]:
    """The lines of Markdown, those of a table together."""
    table: list[str] = []
    for line in content.split("\n"):
        if line.startswith("|"):
            table.append(line)
            continue
        if table:
            yield True, table
            table = []
        if line.strip():
            yield False, [line]
    if table:
        yield True, table
