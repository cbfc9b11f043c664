"""Tables on a page of a PDF: by the lines drawn around their cells or, where none are, by how the words are set.

A table is only what is one beyond doubt: of a page that is taken for one wrongly, every sentence would be torn.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from ingest.bidi import is_backward
from ingest.decoding import scrub
from ingest.pdf_layout import WORD_GAP, Layout, Rule, Word

CELL_GAP = 0.8
"""Of a letter's height: words so far apart are in two cells."""

_NEAR = 3.0
"""Points: lines that are not farther apart meet, or are one."""

_LONGEST_CELL = 400
"""Characters: a frame around more is a page's layout, not a table's cell."""

_LEAST_FILLED = 0.4
_GAPPED_LINES, _TORN_LINES = 0.3, 0.25
_FEWEST_ROWS = 3
_WORDS_A_CELL = 3
_HEADER_LINES = 3
_MOST_WORDS_FIRST, _MOST_WORDS = 4, 8
_CLOSEST = 0.7
_FARTHER = 1.5
_PITCH = 2.6
"""Of a letter's height: lines farther apart are not of one table, if no line is drawn."""

_MARKER = re.compile(r"[^\w\s]{1,2}|\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,4})[.)]")
_LEADER = re.compile(r"(?:\.\s?){4}")

Row = list[str]


@dataclass
class Cell:
    """Words of one line that belong together."""

    words: list[Word]

    @property
    def text(self) -> str:
        words = [word.text for word in self.words]
        return " ".join(reversed(words) if is_backward("".join(words)) else words)

    @property
    def left(self) -> float:
        return self.words[0].left

    @property
    def right(self) -> float:
        return max(word.right for word in self.words)


@dataclass
class Line:
    """Cells on the same height, from left to right."""

    cells: list[Cell]

    @property
    def words(self) -> list[Word]:
        return [word for cell in self.cells for word in cell.words]

    @property
    def middle(self) -> float:
        return median(word.middle for word in self.words)

    @property
    def height(self) -> float:
        return median(word.height for word in self.words)


@dataclass
class Table:
    """Rows of equal length, and all the words that are in them."""

    rows: list[Row]
    words: list[Word] = field(repr=False)

    @property
    def markdown(self) -> str:
        """The table as Markdown; the first column of one that runs from right to left is its rightmost."""
        backward = is_backward("".join(word.text for word in self.words))
        rows = [row[::-1] for row in self.rows] if backward else self.rows
        head, *below = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([head, "|" + " --- |" * len(self.rows[0]), *below])


def tables_of(layout: Layout) -> list[Table]:
    """The tables of a page, those with drawn cells first."""
    found: list[Table] = []
    left = list(layout.words)
    for across, upright in _grids(layout):
        table = _drawn_table(left, across, upright)
        if table:
            found.append(table)
            inside = set(map(id, table.words))
            left = [word for word in left if id(word) not in inside]
    for run in _runs(_lines(left), layout.across):
        table = _set_table(run, layout.across)
        if table:
            found.append(table)
    return found


def _lines(words: Iterable[Word], upright: Sequence[Rule] = ()) -> list[Line]:
    """The words line by line from the top; those with a gap or a drawn line between them are in two cells."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda word: -word.middle):
        if rows and abs(rows[-1][0].middle - word.middle) < 0.4 * min(word.height, rows[-1][0].height):
            rows[-1].append(word)
        else:
            rows.append([word])
    return [Line(_cells(sorted(row, key=lambda word: word.left), upright)) for row in rows]


def _cells(row: Sequence[Word], upright: Sequence[Rule]) -> list[Cell]:
    cells = [Cell([row[0]])]
    for word in row[1:]:
        right = cells[-1].right
        parted = any(
            right - 1 <= rule.at <= word.left + 1 and rule.start < word.middle < rule.end for rule in upright
        )
        if parted or word.left - right > CELL_GAP * word.height:
            cells.append(Cell([word]))
        else:
            cells[-1].words.append(word)
    return cells


# Drawn cells


def _grids(layout: Layout) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """The drawn lines, in groups that hang together, of which each has upright ones between others."""
    groups: list[tuple[list[Rule], list[Rule]]] = []
    for upright in _continued(layout.upright):
        met = [group for group in groups if any(_meet(upright, other) for other in group[0])]
        mine = [rule for rule in layout.across if _crosses(rule, upright)]
        groups = [group for group in groups if group not in met]
        across = {id(rule): rule for group in met for rule in group[0]} | {id(rule): rule for rule in mine}
        groups.append((list(across.values()), [*(rule for group in met for rule in group[1]), upright]))
    return ((across, upright) for across, upright in groups if len(_places(upright)) >= 2 and across)


def _continued(rules: Iterable[Rule]) -> list[Rule]:
    """The lines, each of several that follow on each other as one."""
    found: list[Rule] = []
    for rule in sorted(rules, key=lambda rule: (round(rule.at / _NEAR), rule.start)):
        last = found[-1] if found else None
        if last and abs(last.at - rule.at) <= _NEAR and rule.start <= last.end + _NEAR:
            found[-1] = Rule(last.at, last.start, max(last.end, rule.end))
        else:
            found.append(rule)
    return found


def _meet(upright: Rule, across: Rule) -> bool:
    return _crosses(across, upright)


def _crosses(across: Rule, upright: Rule) -> bool:
    return (
        across.start - _NEAR <= upright.at <= across.end + _NEAR
        and upright.start - _NEAR <= across.at <= upright.end + _NEAR
    )


def _places(rules: Iterable[Rule]) -> list[float]:
    """Where lines stand, those that are near each other as one."""
    found: list[float] = []
    for at in sorted(rule.at for rule in rules):
        if not found or at - found[-1] > _NEAR:
            found.append(at)
    return found


def _drawn_table(words: Sequence[Word], across: Sequence[Rule], upright: Sequence[Rule]) -> Table | None:
    xs, ys = _places(upright), _places(across)
    start, end = min(rule.start for rule in across), max(rule.end for rule in across)
    xs = [x for x in [start, *xs] if x < end - _NEAR]  # a table may be open at its sides
    xs = [x for at, x in enumerate(xs) if at == 0 or x - xs[at - 1] > _NEAR]
    low = min(ys[0], *(rule.start for rule in upright))
    high = max(ys[-1], *(rule.end for rule in upright))
    inside = [
        word for word in words if low < word.middle < high and start - _NEAR < _center(word) < end + _NEAR
    ]
    if len(xs) < 2 or not inside:
        return None
    bands: dict[int, list[Line]] = {}
    for line in _lines(inside, upright):
        bands.setdefault(-bisect_right(ys, line.middle), []).append(line)
    bands_are_rows = len(bands) > 2
    rows = [
        row
        for at, band in enumerate(bands.values())
        for row in _rows_of_band(band, xs, bands_are_rows or (at == 0 and len(bands) > 1))
    ]
    # A line of a cell with gaps within holds columns that are set apart, without lines between them.
    counts = [Counter(_column(cell, xs) for cell in line.cells) for band in bands.values() for line in band]
    if sum(max(count.values()) > 1 for count in counts) > _GAPPED_LINES * len(counts):
        return None
    if sum(_tears(line) for band in bands.values() for line in band) > _TORN_LINES * len(counts):
        return None  # lines that are drawn across words part no columns
    table = _without_empty(rows, inside)
    return table if table and len(table.rows) >= 2 and _is_filled(table) else None


def _center(word: Word) -> float:
    return (word.left + word.right) / 2


def _tears(line: Line) -> bool:
    """Whether cells of a line are no farther apart than words are."""
    return any(two.left - one.right < WORD_GAP * line.height for one, two in pairwise(line.cells))


def _rows_of_band(band: Sequence[Line], xs: Sequence[float], is_row: bool) -> list[Row]:
    """What stands between two lines drawn across: one row, or several, each from a line with a first cell on."""
    rows: list[Row] = []
    for row in (_row(line, xs) for line in band):
        if rows and (is_row or not row[0] or not any(row[1:])):
            rows[-1] = _merged([rows[-1], row])
        else:
            rows.append(row)
    cells = [len(cell.text.split()) for line in band for cell in line.cells]
    return rows if median(cells) <= _WORDS_A_CELL else [_merged(rows)]


def _column(cell: Cell, xs: Sequence[float]) -> int:
    return max(0, bisect_right(xs, cell.left + 1) - 1)


def _row(line: Line, xs: Sequence[float]) -> Row:
    row = [""] * len(xs)
    for cell in line.cells:
        at = _column(cell, xs)
        row[at] = f"{row[at]} {_shown(cell.text)}".strip()
    return row


def _shown(text: str) -> str:
    return " ".join(scrub(text).split()).replace("|", "\\|")


def _without_empty(rows: Sequence[Row], words: list[Word]) -> Table | None:
    kept = [row for row in rows if any(row)]
    columns = [column for column in zip(*kept, strict=True) if any(column)]
    if len(columns) < 2:
        return None
    return Table([list(row) for row in zip(*columns, strict=True)], words)


def _is_filled(table: Table) -> bool:
    cells = [cell for row in table.rows for cell in row]
    full = [sum(map(bool, column)) for column in zip(*table.rows, strict=True)]
    if sorted(full)[-2] < max(2, _LEAST_FILLED * len(table.rows)):
        return False  # but for one, its columns are empty
    return sum(map(bool, cells)) >= _LEAST_FILLED * len(cells) and max(map(len, cells)) <= _LONGEST_CELL


# Cells that are only set apart


def _runs(lines: Sequence[Line], across: Sequence[Rule]) -> Iterator[list[Line]]:
    """Lines below each other between whose cells the same gaps run down."""
    run: list[Line] = []
    columns: list[tuple[float, float]] = []
    for line in lines:
        wider = _joined([*columns, *((cell.left, cell.right) for cell in line.cells)])
        near = bool(run) and _is_near(run, line, across)
        keeps = len(wider) >= max(2, 0.6 * max((len(old.cells) for old in run), default=0))
        if near and keeps and (len(line.cells) > 1 or len(wider) == len(columns)):
            run.append(line)
            columns = wider
            continue
        if run:
            yield run
        run = [line] if len(line.cells) > 1 else []
        columns = _joined([(cell.left, cell.right) for cell in line.cells]) if run else []
    if run:
        yield run


def _is_near(run: Sequence[Line], below: Line, across: Sequence[Rule]) -> bool:
    """Whether a line is near enough to go on with a table; a line drawn between them takes some room."""
    above = run[-1]
    step, height = above.middle - below.middle, max(above.height, below.height)
    if _is_between(above, below, across):
        return step <= 2 * _PITCH * height
    usual = max((one.middle - two.middle for one, two in pairwise(run)), default=step)
    return step <= _PITCH * height and (len(run) < _FEWEST_ROWS or step <= _FARTHER * usual)


def _is_between(above: Line, below: Line, across: Sequence[Rule]) -> bool:
    left = min(above.cells[0].left, below.cells[0].left)
    right = max(above.cells[-1].right, below.cells[-1].right)
    return any(
        below.middle < rule.at < above.middle and rule.start < right and rule.end > left for rule in across
    )


def _joined(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _set_table(run: list[Line], across: Sequence[Rule]) -> Table | None:
    while run and len(run[-1].cells) < 2:
        run = run[:-1]
    columns = _joined((cell.left, cell.right) for line in run for cell in line.cells)
    cells = [cell for line in run for cell in line.cells]
    full = [line for line in run if len(line.cells) > 1]
    if len(full) < _FEWEST_ROWS or len(columns) < 2 or not _is_tabular(cells, columns):
        return None
    steps = [
        (one.middle - two.middle) / one.height
        for one, two in pairwise(run)
        if len(one.cells) > 1 and len(two.cells) > 1
    ]
    if any(step < _CLOSEST for step in steps):
        return None  # what is raised and lowered in formulas
    xs = [start - 1 for start, _ in columns]
    head = _header_lines(run, across)
    rows = [_merged([_row(line, xs) for line in run[:head]])] if head else []
    for line in run[head:]:
        row = _row(line, xs)
        if rows and len(line.cells) == 1 and not row[0]:
            rows[-1] = _merged([rows[-1], row])  # a cell goes on
        else:
            rows.append(row)
    table = _without_empty(_with_heads(rows), [word for line in run for word in line.words])
    if not table or len(table.rows) < _FEWEST_ROWS or _is_contents(table):
        return None
    return table if _is_filled(table) else None


def _is_contents(table: Table) -> bool:
    """Whether it is a table of contents, which has no header: titles, and page numbers that only rise."""
    pages = [row[-1] for row in table.rows]
    if len(table.rows[0]) != 2 or not all(page.isdecimal() for page in pages):
        return False
    numbers = list(map(int, pages))
    return numbers == sorted(numbers) and not any(_is_number(row[0]) for row in table.rows)


def _with_heads(rows: Sequence[Row]) -> list[Row]:
    """The rows with each name of a column that is set beside it, over nothing, above the column next to it."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    for one, two in pairwise(columns):
        for name, values in ((one, two), (two, one)):
            if name[0] and not any(name[1:]) and not values[0] and any(values):
                values[0], name[0] = name[0], ""
                break
    return [list(row) for row in zip(*columns, strict=True)]


def _merged(rows: Sequence[Row]) -> Row:
    return [" ".join(filter(None, parts)) for parts in zip(*rows, strict=True)]


def _header_lines(run: Sequence[Line], across: Sequence[Rule]) -> int:
    """How many of the first lines are one header: those above the first line that is drawn within the run."""
    lines = range(1, min(_HEADER_LINES, len(run) - 1) + 1)
    return next((at for at in lines if _is_between(run[at - 1], run[at], across)), 0)


def _is_tabular(cells: Sequence[Cell], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether the cells are short, and in one column mostly numbers: prose in columns is neither."""
    if median(len(cell.words) for cell in cells) > _WORDS_A_CELL or any(
        _LEADER.search(cell.text) for cell in cells
    ):
        return False
    in_column = [[cell.text for cell in cells if start - 1 <= cell.left <= end + 1] for start, end in columns]
    if sum(_MARKER.fullmatch(text) is not None for text in in_column[0]) > len(in_column[0]) / 2:
        return False
    words = [median(len(text.split()) for text in column) for column in in_column]
    if words[0] > _MOST_WORDS_FIRST or max(words) > _MOST_WORDS:
        return False
    measured = in_column if len(columns) > 2 else in_column[1:]
    return any(sum(map(_is_number, column)) >= len(column) / 2 for column in measured)


def _is_number(text: str) -> bool:
    return 2 * sum(map(str.isdigit, text)) >= max(1, sum(map(str.isalpha, text)))
