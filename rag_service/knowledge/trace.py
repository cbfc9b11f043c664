"""How a chunk was found, to be shown."""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from rag_service.knowledge.selection import Hit, LeftOut


@dataclass(frozen=True)
class Trace:
    """Score and rank from 1 on each side, None where that side did not find it; what a reranker gave it; why it was
    left out, if it was, and the chunk `like` which says the same. No text."""

    chunk_id: UUID
    dense: float | None
    dense_rank: int | None
    lexical: float | None
    lexical_rank: int | None
    fused: float
    reranked: float | None
    left_out: LeftOut | None
    like: UUID | None

    @classmethod
    def of(cls, hit: Hit) -> Self:
        found = hit.found
        return cls(
            chunk_id=found.chunk_id,
            dense=found.dense,
            dense_rank=found.dense_rank,
            lexical=found.lexical,
            lexical_rank=found.lexical_rank,
            fused=found.fused,
            reranked=hit.reranked,
            left_out=hit.left_out,
            like=hit.like,
        )
