"""Parts of a document that are not cut further: blocks and, where one is too large, its rows, lines or sentences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from ingest.blocks import Block
from ingest.counting import TokenCounts, stretches
from rag_service.knowledge.sentences import sentence_spans

PREFIX_SHARE = 3
"""At most one part in this many of a chunk is its headings, and one its table header."""

HEADER_AMONG = 8
"""A table's header row is looked for in so many first rows: sheets have titles above it."""

_LONGEST_SPAN = 100_000
"""Characters in which sentences are looked for at once."""

_LEAD = re.compile(r"[|# \t\n]*")
_CELL = re.compile(r"(?:\\.|[^|\\])+")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """A span that is not cut further, with the table header that explains it."""

    start: int
    end: int
    page: int | None
    context: str = ""
    context_at: int | None = None
    """Where the context stands in the text, if it does in one piece."""
    extra: int = 0
    """Tokens more than were counted in the whole, since it was cut within a word."""

    def is_explained_by(self, first: "Unit") -> bool:
        """Whether a chunk that begins with `first`, and with its context, has what explains this unit too."""
        return (
            not self.context
            or self.context == first.context
            or (self.context_at is not None and first.start <= self.context_at)
        )


def units(text: str, block: Block, tokens: TokenCounts, room: int) -> Iterator[Unit]:
    """The units of a block, none above `room` tokens with its context."""
    if tokens.fits(block.start, block.end, room):
        yield Unit(block.start, block.end, block.page)
    elif block.kind == "table":
        yield from _table_units(text, block, tokens, room)
    else:
        lines = block.kind in ("list", "code")
        spans = _line_spans(text, block) if lines else iter([(block.start, block.end)])
        for span in spans:
            yield from _cut(text, span, tokens, room, block.page)


def _table_units(text: str, block: Block, tokens: TokenCounts, room: int) -> Iterator[Unit]:
    """The rows of a table; each below the header row carries that along."""
    lines = _line_spans(text, block)
    first = list(islice(lines, HEADER_AMONG))
    at = _header_row([text[start:end] for start, end in first])
    header = first[at]
    top = [(first[0][0], first[min(1, len(first) - 1)][1]), *first[2 : at + 1]]
    for span in top:
        yield from _cut(text, span, tokens, room, block.page)
    shown = text[slice(*header)].strip()
    size = tokens.length(shown)
    names = _Names.of(text, header, tokens)
    for start, end in chain(first[max(2, at + 1) :], lines):
        if size <= room // PREFIX_SHARE and tokens.fits(start, end, room - size):
            yield Unit(start, end, block.page, shown, header[0])
        else:
            yield from _wide_row(text, (start, end), names, tokens, room, block.page)


@dataclass(frozen=True)
class _Names:
    """The cells of a header row, and the tokens of each with the sign that parts it from the next."""

    names: Sequence[str]
    sizes: Sequence[int]

    @classmethod
    def of(cls, text: str, header: Span, tokens: TokenCounts) -> "_Names":
        names = [text[slice(*span)].strip() for span in _cell_spans(text, header)]
        return cls(names, tokens.lengths([f" {name} |" for name in names]))

    def size(self, at: int) -> int:
        return self.sizes[at] if at < len(self.sizes) else 1

    def above(self, start: int, stop: int) -> str:
        shown = self.names[start:stop]
        return f"| {' | '.join(shown)} |" if shown else ""


def _wide_row(
    text: str, row: Span, header: _Names, tokens: TokenCounts, room: int, page: int | None
) -> Iterator[Unit]:
    """A row too wide for one unit, in runs of cells; each carries the header of its cells, and the row's first cell."""
    cells = _cell_spans(text, row)
    most = room // PREFIX_SHARE
    key = f"{header.names[0]}: {text[slice(*cells[0])].strip()}\n" if cells and header.names else ""
    if tokens.is_longer(key, most // 2):
        key = ""
    key_size = tokens.length(key)
    start = 0
    while start < len(cells):
        stop, above = start + 1, 1 + header.size(start) + (key_size if start else 0)
        taken = tokens.count(*cells[start]) if above <= most else room
        while stop < len(cells):
            above += header.size(stop)
            taken += 1 + tokens.count(*cells[stop])
            if above > most or above + taken > room:
                break
            stop += 1
        context = (key if start else "") + header.above(start, stop)
        if tokens.is_longer(context, most):
            context = ""
        span = (cells[start][0], cells[stop - 1][1])
        yield from _cut(text, span, tokens, room - tokens.length(context), page, context)
        start = stop


def _cell_spans(text: str, row: Span) -> list[Span]:
    """Where each cell of a row stands, without the signs that part them."""
    return [found.span() for found in _CELL.finditer(text, *row)]


def _header_row(rows: Sequence[str]) -> int:
    """The first of these rows with at least half as much in it as the fullest."""
    filled = [len(re.findall(r"[^|\s][^|]*", row)) for row in rows]
    filled[1:2] = [0]  # the rule below the first row
    return next(at for at, count in enumerate(filled) if 2 * count >= max(filled))


def _cut(
    text: str, span: Span, tokens: TokenCounts, room: int, page: int | None, context: str = ""
) -> Iterator[Unit]:
    """The span as one unit, or, where it is larger than `room`, cut: between sentences, else words, else tokens."""
    if tokens.fits(*span, room):
        yield Unit(*span, page, context)
        return
    # Without its first marks, a row or a long heading is not taken for one sentence.
    found = _LEAD.match(text, *span)
    lead = found.end() if found else span[0]
    for start, end in stretches(text, lead, span[1], _LONGEST_SPAN):
        for begin, stop in sentence_spans(text[start:end]):
            at = start + begin if start + begin > lead else span[0]
            yield from _cut_sentence(text, (at, start + stop), tokens, room, page, context)


def _cut_sentence(
    text: str, span: Span, tokens: TokenCounts, room: int, page: int | None, context: str
) -> Iterator[Unit]:
    at, stop = span
    while at < stop:
        part = text[at : tokens.cut(at, stop, room)]
        if at + len(part) < stop or tokens.length(part) > room:
            part = _head(part, room, tokens)
        size = tokens.length(part)
        yield Unit(at, at + len(part), page, context, extra=size - tokens.count(at, at + len(part)))
        at += len(part)
        while at < stop and text[at].isspace():
            at += 1


def _head(text: str, room: int, tokens: TokenCounts) -> str:
    """As much of the text as fits: up to its last space, else within a word, whose parts are counted anew."""
    space = re.search(r"\s\S*\Z", text)
    head = text[: space.start()] if space and space.start() else text
    while len(head) > 1 and tokens.length(head) > room:
        head = head[: len(head) * 15 // 16]
    return head


def _line_spans(text: str, block: Block) -> Iterator[Span]:
    start = block.start
    while start < block.end:
        found = text.find("\n", start, block.end)
        end = found if found >= 0 else block.end
        if text[start:end].strip():
            yield start, end
        start = end + 1
