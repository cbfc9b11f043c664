"""Cutting a document into chunks along its structure.

A chunk holds whole blocks of one section, as many as fit; only a block that is too large by itself is cut,
between its rows, items, lines or sentences. Sizes are counted by the embedding model's own tokenizer.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from ingest.blocks import Block, Extraction, heading_text
from rag_service.knowledge.sentences import sentence_spans

TokenSpans = Callable[[Sequence[str]], list[list[tuple[int, int]]]]

PREFIX_SHARE = 3
"""At most one part in this many of a chunk is its headings and table header."""


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
        return "\n".join(part for part in (" > ".join(self.headings), self.context, self.text) if part)

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.embedded.encode()).hexdigest()


@dataclass(frozen=True)
class _Unit:
    """A span that is not cut further, with the table header that explains it."""

    start: int
    end: int
    tokens: int
    page: int | None
    context: str = ""


class _TokenMap:
    """Counts the tokens of any span of the document, having tokenized each block once."""

    def __init__(self, text: str, blocks: Sequence[Block], token_spans: TokenSpans) -> None:
        spans = token_spans([text[block.start : block.end] for block in blocks])
        self._starts = [
            block.start + at for block, tokens in zip(blocks, spans, strict=True) for at, _ in tokens
        ]

    def count(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def cut(self, start: int, end: int, limit: int) -> int:
        """The offset behind at most `limit` tokens from `start`."""
        at = bisect_left(self._starts, start) + limit
        return min(self._starts[at], end) if at < len(self._starts) else end


def chunk(extraction: Extraction, token_spans: TokenSpans, *, limit: int) -> list[TextChunk]:
    """The chunks of a document, none above `limit` tokens with its headings, in order of the text."""
    text = extraction.text
    tokens = _TokenMap(text, extraction.blocks, token_spans)
    chunks: list[TextChunk] = []
    for headings, blocks in _sections(text, extraction.blocks):
        headings = _fitting(headings, token_spans, limit // PREFIX_SHARE)
        prefix = _length(" > ".join(headings), token_spans) if headings else 0
        room = limit - prefix
        units = [unit for block in blocks for unit in _units(text, block, tokens, room, token_spans)]
        for group in _packed(units, room, token_spans):
            start, end, context = group[0].start, group[-1].end, group[0].context
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
                    tokens=prefix + _length(context, token_spans) + tokens.count(start, end),
                )
            )
    return chunks


def _length(text: str, token_spans: TokenSpans) -> int:
    return len(token_spans([text])[0]) if text else 0


def _fitting(headings: Sequence[str], token_spans: TokenSpans, limit: int) -> list[str]:
    """The nearest headings that fit in `limit` tokens."""
    kept: list[str] = []
    for heading in reversed(headings):
        if _length(" > ".join([heading, *kept]), token_spans) > limit:
            break
        kept.insert(0, heading)
    return kept


def _sections(text: str, blocks: Sequence[Block]) -> Iterator[tuple[list[str], list[Block]]]:
    """Runs of blocks under one path of headings. A heading with nothing below it is a section of its own."""
    path: list[tuple[int, str]] = []
    body: list[Block] = []
    bare: Block | None = None
    for block in blocks:
        if block.kind != "heading":
            body.append(block)
            bare = None
            continue
        if body:
            yield [title for _, title in path], body
            body = []
        elif bare is not None and block.level <= bare.level:
            yield [title for _, title in path[:-1]], [bare]
        path = [item for item in path if item[0] < block.level]
        path.append((block.level, heading_text(text[block.start : block.end])))
        bare = block
    if body:
        yield [title for _, title in path], body
    elif bare is not None:
        yield [title for _, title in path[:-1]], [bare]


def _units(text: str, block: Block, tokens: _TokenMap, room: int, token_spans: TokenSpans) -> Iterator[_Unit]:
    size = tokens.count(block.start, block.end)
    if size <= room:
        yield _Unit(block.start, block.end, size, block.page)
        return
    if block.kind == "table":
        yield from _table_units(text, block, tokens, room, token_spans)
        return
    spans = _line_spans(text, block) if block.kind in ("list", "code") else _sentences(text, block)
    for start, end in spans:
        yield from _cut(start, end, tokens, room, block.page)


def _table_units(
    text: str, block: Block, tokens: _TokenMap, room: int, token_spans: TokenSpans
) -> Iterator[_Unit]:
    """The rows of a table; each but those of the first chunk carries the header row along."""
    lines = list(_line_spans(text, block))
    header = text[lines[0][0] : lines[0][1]].strip()
    header_size = _length(header, token_spans)
    if header_size > room // PREFIX_SHARE:
        header, header_size = "", 0
    head_end = lines[1][1] if len(lines) > 1 else lines[0][1]
    yield from _cut(lines[0][0], head_end, tokens, room, block.page)
    for start, end in lines[2:]:
        yield from _cut(start, end, tokens, room - header_size, block.page, header)


def _cut(
    start: int, end: int, tokens: _TokenMap, room: int, page: int | None, context: str = ""
) -> Iterator[_Unit]:
    """The span as one unit, or, where it is larger than `room`, cut at token boundaries."""
    while start < end:
        stop = end if tokens.count(start, end) <= room else tokens.cut(start, end, room)
        yield _Unit(start, stop, tokens.count(start, stop), page, context)
        start = stop


def _line_spans(text: str, block: Block) -> Iterator[tuple[int, int]]:
    start = block.start
    while start < block.end:
        found = text.find("\n", start, block.end)
        end = found + 1 if found >= 0 else block.end
        if text[start:end].strip():
            yield start, end
        start = end


def _sentences(text: str, block: Block) -> Iterator[tuple[int, int]]:
    for start, end in sentence_spans(text[block.start : block.end]):
        yield block.start + start, block.start + end


def _packed(units: Sequence[_Unit], room: int, token_spans: TokenSpans) -> Iterator[list[_Unit]]:
    """Neighbouring units together, as many as fit."""
    group: list[_Unit] = []
    size = 0
    for unit in units:
        if group and size + unit.tokens > room:
            yield group
            group, size = [], 0
        if not group:
            size = _length(unit.context, token_spans)
        group.append(unit)
        size += unit.tokens
    if group:
        yield group
