"""Cutting a document into chunks along its structure.

A chunk holds whole blocks of one section, as many as fit; only a block that is too large by itself is cut,
between its rows, items, lines or sentences. Sizes are counted by the embedding model's own tokenizer.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from uuid import UUID, uuid5

from ingest.blocks import Block, Extraction, heading_text
from ingest.counting import LONGEST_TOKEN, TokenCounts, TokenSpans
from ingest.units import PREFIX_SHARE, Unit, units

__all__ = ["LONGEST_TOKEN", "PREFIX_SHARE", "TextChunk", "TokenSpans", "chunk"]


@dataclass(frozen=True, slots=True)
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


_Section = tuple[list[Block], list[Block]]
"""The headings shown above some blocks, and the blocks."""


def chunk(extraction: Extraction, token_spans: TokenSpans, *, limit: int) -> list[TextChunk]:
    """The chunks of a document, none above `limit` tokens with its headings, in order of the text."""
    text = extraction.text
    tokens = TokenCounts(text, extraction.blocks, token_spans)
    most = limit // PREFIX_SHARE
    blocks = (
        _demoted(block) if _is_long(block, text, tokens, most) else block for block in extraction.blocks
    )
    chunks: list[TextChunk] = []
    for path, body in _sections(blocks, lambda path: _fitting(path, text, tokens, most)):
        headings = [title for block in path if (title := _title(text, block))]
        prefix = tokens.length(" > ".join(headings))
        room = limit - prefix
        parts = (unit for block in body for unit in units(text, block, tokens, room))
        for group in _packed(parts, tokens, room):
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
            tokens.forget_before(end)
    return chunks


def _is_long(block: Block, text: str, tokens: TokenCounts, most: int) -> bool:
    return block.kind == "heading" and tokens.is_longer(text[block.start : block.end], most)


def _demoted(heading: Block) -> Block:
    """A heading as the paragraph that it is: too long to stand above every chunk below it."""
    return replace(heading, kind="paragraph", level=0)


def _title(text: str, heading: Block) -> str:
    return heading_text(text[heading.start : heading.end])


def _fitting(path: Sequence[Block], text: str, tokens: TokenCounts, most: int) -> list[Block]:
    """The nearest headings that fit in `most` tokens."""
    kept: list[Block] = []
    for block in reversed(path):
        if tokens.length(" > ".join(_title(text, item) for item in (block, *kept))) > most:
            break
        kept.insert(0, block)
    return kept


def _sections(
    blocks: Iterable[Block], fitting: Callable[[Sequence[Block]], list[Block]]
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


def _packed(parts: Iterable[Unit], tokens: TokenCounts, room: int) -> Iterator[list[Unit]]:
    """Neighbouring units together, as many as fit."""
    group: list[Unit] = []
    taken = 0
    for unit in parts:
        if group and not (
            unit.is_explained_by(group[0])
            and tokens.fits(group[0].start, unit.end, room - taken - unit.extra)
        ):
            yield group
            group = []
        if not group:
            taken = tokens.length(unit.context)
        taken += unit.extra
        group.append(unit)
    if group:
        yield group
