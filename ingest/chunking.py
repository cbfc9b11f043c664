"""Cutting a document into chunks along its structure.

A chunk holds whole blocks of one section, as many as fit; only a block that is too large by itself is cut,
between its rows, items, lines or sentences. Sizes are counted by the embedding model's own tokenizer.
"""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from uuid import UUID, uuid5

from ingest.blocks import Block, Extraction, heading_text
from rag_service.knowledge.sentences import sentence_spans

TokenSpans = Callable[[Sequence[str]], list[list[tuple[int, int]]]]

PREFIX_SHARE = 3
"""At most one part in this many of a chunk is its headings and table header."""

LONGEST_TOKEN = 20
"""Characters. A tokenizer takes a word that it does not know, however long, for one token: it counts as more."""

HEADER_AMONG = 8
"""A table's header row is looked for in so many first rows: sheets have titles above it."""


@dataclass(frozen=True)
class TextChunk:
    """A chunk before it is stored. `text` is `extraction.text[start:end]`, verbatim."""

    ordinal: int
    text: str
    headings: Sequence[str]
    context: str
    start: int
    end: int
    page: int | None
    page_end: int | None
    tokens: int

    def id_in(self, version_id: UUID) -> UUID:
        """The same version, place and text have the same id, in every run."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return uuid5(version_id, f"{self.ordinal}:{self.start}:{self.end}:{digest}")

    @property
    def embedded(self) -> str:
        """What is embedded: the path of headings, the table's header, the text."""
        return embedded_text(self.headings, self.context, self.text)

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.embedded.encode()).hexdigest()


def embedded_text(headings: Sequence[str], context: str, text: str) -> str:
    """What is embedded of a chunk: the path of headings, the table's header, the text."""
    return "\n".join(part for part in (" > ".join(headings), context, text) if part)


@dataclass(frozen=True)
class _Unit:
    """A span that is not cut further, with the table header that explains it."""

    start: int
    end: int
    page: int | None
    context: str = ""
    extra: int = 0
    """Tokens more than were counted in the whole, since it was cut within a word."""


_Section = tuple[list[Block], list[Block]]
"""The headings shown above some blocks, and the blocks."""


class _Tokens:
    """Counts the tokens of any span of the document, having tokenized each block once, and of other texts."""

    def __init__(self, text: str, blocks: Sequence[Block], token_spans: TokenSpans) -> None:
        self._token_spans = token_spans
        # What stands between blocks, such as a rule, is in a chunk with them: it counts as well.
        edges = sorted({0, len(text), *(edge for block in blocks for edge in (block.start, block.end))})
        starts = [start for start, end in pairwise(edges) if text[start:end].strip()]
        pieces = [text[start:end] for start, end in pairwise(edges) if text[start:end].strip()]
        self._starts = [
            start + at
            for start, tokens in zip(starts, token_spans(pieces), strict=True)
            for at in _token_starts(tokens)
        ]

    def count(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def cut(self, start: int, end: int, limit: int) -> int:
        """The offset behind at most `limit` tokens from `start`."""
        at = bisect_left(self._starts, start) + limit
        return min(self._starts[at], end) if at < len(self._starts) else end

    def length(self, text: str) -> int:
        """The tokens of any text."""
        return len(_token_starts(self._token_spans([text])[0])) if text else 0


def _token_starts(tokens: Sequence[tuple[int, int]]) -> list[int]:
    return [at for start, end in tokens for at in range(start, end, LONGEST_TOKEN)]


def chunk(extraction: Extraction, token_spans: TokenSpans, *, limit: int) -> list[TextChunk]:
    """The chunks of a document, none above `limit` tokens with its headings, in order of the text."""
    text = extraction.text
    tokens = _Tokens(text, extraction.blocks, token_spans)
    most = limit // PREFIX_SHARE
    blocks = [_demoted(block) if _is_long(block, tokens, most) else block for block in extraction.blocks]
    chunks: list[TextChunk] = []
    for path, body in _sections(blocks, lambda path: _fitting(path, text, tokens, most)):
        headings = [title for block in path if (title := _title(text, block))]
        prefix = tokens.length(" > ".join(headings))
        room = limit - prefix
        units = [unit for block in body for unit in _units(text, block, tokens, room)]
        for group in _packed(units, tokens, room):
            start, end, context = group[0].start, group[-1].end, group[0].context
            size = tokens.count(start, end) + sum(unit.extra for unit in group)
            chunks.append(
                TextChunk(
                    ordinal=len(chunks),
                    text=text[start:end],
                    headings=headings,
                    context=context,
                    start=start,
                    end=end,
                    page=group[0].page,
                    page_end=group[-1].page,
                    tokens=prefix + tokens.length(context) + size,
                )
            )
    return chunks


def _is_long(block: Block, tokens: _Tokens, most: int) -> bool:
    return block.kind == "heading" and tokens.count(block.start, block.end) > most


def _demoted(heading: Block) -> Block:
    """A heading as the paragraph that it is: too long to stand above every chunk below it."""
    return replace(heading, kind="paragraph", level=0)


def _title(text: str, heading: Block) -> str:
    return heading_text(text[heading.start : heading.end])


def _fitting(path: Sequence[Block], text: str, tokens: _Tokens, most: int) -> list[Block]:
    """The nearest headings that fit in `most` tokens."""
    kept: list[Block] = []
    for block in reversed(path):
        if tokens.length(" > ".join(_title(text, item) for item in (block, *kept))) > most:
            break
        kept.insert(0, block)
    return kept


def _sections(
    blocks: Sequence[Block], fitting: Callable[[Sequence[Block]], list[Block]]
) -> Iterator[_Section]:
    """Runs of blocks with the headings shown above them.

    A heading that is shown nowhere, since nothing stands below it or too much above, is a section of its own.
    """
    path: list[Block] = []
    unseen: list[tuple[Block, list[Block]]] = []
    for are_headings, run in groupby(blocks, lambda block: block.kind == "heading"):
        if not are_headings:
            shown = fitting(path)
            yield from _alone(unseen, shown, fitting)
            yield shown, list(run)
            unseen = []
            continue
        for heading in run:
            above = [block for block in path if block.level < heading.level]
            unseen.append((heading, above))
            path = [*above, heading]
    yield from _alone(unseen, [], fitting)


def _alone(
    headings: Sequence[tuple[Block, list[Block]]],
    shown: Sequence[Block],
    fitting: Callable[[Sequence[Block]], list[Block]],
) -> list[_Section]:
    """A section for each heading that neither `shown` holds nor the path of a later one."""
    seen = set(shown)
    sections: list[_Section] = []
    for heading, above in reversed(headings):
        if heading not in seen:
            path = fitting(above)
            sections.insert(0, (path, [heading]))
            seen.update(path)
    return sections


def _units(text: str, block: Block, tokens: _Tokens, room: int) -> Iterator[_Unit]:
    if tokens.count(block.start, block.end) <= room:
        yield _Unit(block.start, block.end, block.page)
    elif block.kind == "table":
        yield from _table_units(text, block, tokens, room)
    else:
        lines = block.kind in ("list", "code")
        spans = _line_spans(text, block) if lines else [(block.start, block.end)]
        for start, end in spans:
            yield from _cut(text, (start, end), tokens, room, block.page)


def _table_units(text: str, block: Block, tokens: _Tokens, room: int) -> Iterator[_Unit]:
    """The rows of a table; each below the header row carries that along."""
    lines = list(_line_spans(text, block))
    at = _header_row([text[start:end] for start, end in lines[:HEADER_AMONG]])
    header = text[lines[at][0] : lines[at][1]].strip()
    header_size = tokens.length(header)
    if header_size > room // PREFIX_SHARE:
        header, header_size = "", 0
    top = [(lines[0][0], lines[min(1, len(lines) - 1)][1]), *lines[2 : at + 1]]
    for start, end in top:
        yield from _cut(text, (start, end), tokens, room, block.page)
    for start, end in lines[max(2, at + 1) :]:
        yield from _cut(text, (start, end), tokens, room - header_size, block.page, header)


def _header_row(rows: Sequence[str]) -> int:
    """The first of these rows with at least half as much in it as the fullest."""
    filled = [len(re.findall(r"[^|\s][^|]*", row)) for row in rows]
    filled[1:2] = [0]  # the rule below the first row
    return next(at for at, count in enumerate(filled) if 2 * count >= max(filled))


def _cut(
    text: str,
    span: tuple[int, int],
    tokens: _Tokens,
    room: int,
    page: int | None,
    context: str = "",
) -> Iterator[_Unit]:
    """The span as one unit, or, where it is larger than `room`, cut: between sentences, else words, else tokens."""
    if tokens.count(*span) <= room:
        yield _Unit(*span, page, context)
        return
    # Without its first marks, a row or a long heading is not taken for one sentence.
    lead = span[1] - len(text[slice(*span)].lstrip("|# \t\n"))
    for begin, end in sentence_spans(text[lead : span[1]]):
        at, stop = lead + begin if begin else span[0], lead + end
        while at < stop:
            part = text[at : tokens.cut(at, stop, room)]
            if at + len(part) < stop or tokens.length(part) > room:
                part = _head(part, room, tokens)
            size = tokens.length(part)
            yield _Unit(at, at + len(part), page, context, size - tokens.count(at, at + len(part)))
            at += len(part)
            while at < stop and text[at].isspace():
                at += 1


def _head(text: str, room: int, tokens: _Tokens) -> str:
    """As much of the text as fits: up to its last space, else within a word, whose parts are counted anew."""
    space = re.search(r"\s\S*\Z", text)
    head = text[: space.start()] if space and space.start() else text
    while len(head) > 1 and tokens.length(head) > room:
        head = head[: len(head) * 15 // 16]
    return head


def _line_spans(text: str, block: Block) -> Iterator[tuple[int, int]]:
    start = block.start
    while start < block.end:
        found = text.find("\n", start, block.end)
        end = found if found >= 0 else block.end
        if text[start:end].strip():
            yield start, end
        start = end + 1


def _packed(units: Sequence[_Unit], tokens: _Tokens, room: int) -> Iterator[list[_Unit]]:
    """Neighbouring units together, as many as fit."""
    group: list[_Unit] = []
    taken = 0
    for unit in units:
        if group and taken + unit.extra + tokens.count(group[0].start, unit.end) > room:
            yield group
            group = []
        if not group:
            taken = tokens.length(unit.context)
        taken += unit.extra
        group.append(unit)
    if group:
        yield group
