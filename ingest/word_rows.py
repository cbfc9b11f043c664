"""Tables of an older Word file, out of a text in which a tab ends each cell, and one more each row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, takewhile

from ingest.assembly import Assembly
from ingest.blocks import Block, plain_blocks
from ingest.sheets import markdown_table

_ROW_END = "\t\t"
_LONGEST_ROW = 40
"""Lines that the paragraphs of a row's cells may take."""
_MOST_COLUMNS = 63
"""Of a table in Word."""
_WIDTHS = 4
"""So many numbers of columns are tried, those first that most rows have."""


def with_rows(text: str) -> tuple[str, list[Block]]:
    """The text with its tables as tables, and its blocks.

    A table has two rows or more of equally many cells, and fewer whose cells were merged; what else has tabs in it is
    lines, cut where there are two tabs.
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
        titles = list(takewhile(lambda row: len(row) == 1, rows))
        plain.extend(title for row in titles for title in row)
        settle()
        put.add("table", markdown_table(rows[len(titles) :]))
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
    """The rows of a table, or none: every so many cells there is the empty one that ends a row.

    Where cells were merged a row has fewer. It does not tell which, so that its cells are one: none may stand below the
    header of another.
    """
    cells = [_narrow(cell) for cell in text.rstrip(" ").split("\t")[:-1]]
    for columns in range(2, len(cells) // 2):
        ends = cells[columns :: columns + 1]
        if len(cells) % (columns + 1) == 0 and not any(ends):
            starts = range(0, len(cells), columns + 1)
            return [cells[start : start + columns] for start in starts]
    gaps = [at for at, cell in enumerate(cells) if not cell]
    between = Counter(end - start - 1 for start, end in pairwise([-1, *gaps]))
    widths = [width for width, _ in between.most_common() if 1 < width <= _MOST_COLUMNS]
    found = [_merged(cells, width) for width in widths[:_WIDTHS]]
    return min(filter(None, found), key=lambda rows: sum(len(row) == 1 for row in rows), default=[])


def _merged(cells: Sequence[str], columns: int) -> list[list[str]]:
    """The cells as rows of so many, as few of them as can be with merged cells; none where those are too many."""
    # For each number of cells how few such rows they make, and where the last of their rows begins.
    best: dict[int, tuple[int, int]] = {0: (0, -1)}
    for end, cell in enumerate(cells):
        before = [
            (best[start][0] + (end - start < columns), start)
            for start in range(max(0, end - columns), end)
            if start in best and (end - start == columns or cells[start])
        ]
        if not cell and before:
            best[end + 1] = min(before)
    rows, at = list[list[str]](), len(cells)
    if at not in best:
        return []
    while at > 0:
        start = best[at][1]
        row = list(cells[start : at - 1])
        rows.append(row if len(row) == columns else [_narrow(" ".join(row))])
        at = start
    rows.reverse()
    whole = sum(len(row) == columns for row in rows)
    return rows if whole >= max(2, len(rows) - whole) else []


def _narrow(text: str) -> str:
    return " ".join(text.split())
