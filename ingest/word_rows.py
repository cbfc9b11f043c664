"""Tables of an older Word file, out of a text in which a tab ends each cell, and one more each row."""

from collections.abc import Iterator, Sequence
from itertools import islice

from ingest.assembly import Assembly
from ingest.blocks import Block, plain_blocks
from ingest.sheets import markdown_table

_ROW_END = "\t\t"
_LONGEST_ROW = 40
"""Lines that the paragraphs of a row's cells may take."""


def with_rows(text: str) -> tuple[str, list[Block]]:
    """The text with its tables as tables, and its blocks.

    A table has two rows or more of equally many cells; what else has tabs in it is lines, cut where there are two tabs.
    """
    put, plain = Assembly(), list[str]()

    def settle() -> None:
        lines = "\n".join(plain).replace(_ROW_END, "\n").split("\n")
        held = "\n".join(map(_narrow, lines)).strip()
        put.include(held, plain_blocks(held))
        plain.clear()

    for lines in _stretches(text.split("\n")):
        rows = _rows("\n".join(lines))
        if not rows:
            plain.extend(lines)
            continue
        settle()
        put.add("table", markdown_table(rows))
    settle()
    return put.text, put.blocks


def _stretches(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """The lines one by one, but together those from one with a cell on to the one that ends a row."""
    at = 0
    while at < len(lines):
        size = 1
        if "\t" in lines[at]:
            ahead = islice(lines, at, at + _LONGEST_ROW)
            size = next((n for n, line in enumerate(ahead, 1) if line.rstrip(" ").endswith(_ROW_END)), 1)
        yield lines[at : at + size]
        at += size


def _rows(text: str) -> list[list[str]]:
    """The rows of a table, or none: every so many cells there is the empty one that ends a row."""
    cells = text.rstrip(" ").split("\t")[:-1]
    for columns in range(2, len(cells) // 2):
        ends = cells[columns :: columns + 1]
        if len(cells) % (columns + 1) == 0 and not any(ends):
            starts = range(0, len(cells), columns + 1)
            return [[_narrow(cell) for cell in cells[start : start + columns]] for start in starts]
    return []


def _narrow(text: str) -> str:
    return " ".join(text.split())
