"""Which of the chunks found are handed on: no two that say the same, and not all of one document."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from rag_service.db.repositories.read_back import ReadableChunk
from rag_service.knowledge.fusion import Fused
from rag_service.knowledge.said import Said, said

PER_DOCUMENT = 0.8
"""Share of the wanted chunks that one document may give, where others have any: 4 of 5."""
FEW = 5
"""Below so many wanted chunks a document may give all of them."""
SAME = 0.9
"""Share of words in common from which two chunks say the same, if no number differs."""

LeftOut = Literal["folded", "cut"]
"""Folded: says the same as a better one. Cut: its document has given enough."""


@dataclass(frozen=True)
class Hit:
    """A chunk that may be quoted, and how it was found. `like` is the chunk that a folded one was folded into,
    `reranked` what a reranker gave it, where one was asked."""

    source: ReadableChunk
    found: Fused
    left_out: LeftOut | None = None
    like: UUID | None = None
    reranked: float | None = None

    @property
    def score(self) -> float:
        """What hits are in order of."""
        return self.found.fused if self.reranked is None else self.reranked


def distinct(hits: Sequence[Hit]) -> tuple[list[Hit], list[Hit]]:
    """Those that say something that no better one says, and the others, folded; both best first."""
    kept: list[tuple[Hit, Said]] = []
    folded: list[Hit] = []
    for hit in hits:
        own = said(hit.source.chunk.text)
        like = next((other for other, others in kept if _same(own, others)), None)
        if like is None:
            kept.append((hit, own))
        else:
            folded.append(replace(hit, left_out="folded", like=like.source.chunk.id))
    return [hit for hit, _ in kept], folded


def _same(one: Said, other: Said) -> bool:
    total, others = one.total, other.total
    if total < SAME * others or others < SAME * total:
        return False
    least = SAME * max(total, others)
    # Cheap to tell of nearly all pairs: each word that the other lacks is missing at least once.
    lacking = len(one.different) - len(one.different & other.different)
    if total - lacking < least:
        return False
    counts, their_counts = one.counts(), other.counts()
    if (counts & their_counts).total() < least:
        return False
    # Lists and tables differ by a number alone, and mean another thing.
    differing = (counts - their_counts) | (their_counts - counts)
    return not any(any(letter.isdigit() for letter in word) for word in differing)


def spread(hits: Sequence[Hit], limit: int) -> tuple[list[Hit], list[Hit]]:
    """The `limit` best with a bounded number of each document, and those that had to give way; both best first.

    Where the other documents have not enough, what was cut fills up. The order stays as it was.
    """
    places = {hit.found.chunk_id: place for place, hit in enumerate(hits)}
    most = limit if limit < FEW else math.floor(limit * PER_DOCUMENT)
    given: Counter[UUID] = Counter()
    chosen: list[Hit] = []
    cut: list[Hit] = []
    for hit in hits:
        if len(chosen) == limit:
            break
        if given[hit.source.document_id] < most:
            given[hit.source.document_id] += 1
            chosen.append(hit)
        else:
            cut.append(hit)
    fill = limit - len(chosen)
    chosen = sorted([*chosen, *cut[:fill]], key=lambda hit: places[hit.found.chunk_id])
    return chosen, [replace(hit, left_out="cut") for hit in cut[fill:]]
