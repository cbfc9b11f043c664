"""Shapes of how chunks were found, and of a turn's answer to it."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from rag_service.api.schemas.base import Response


class TraceOut(Response):
    """How a chunk was found: on each side its score and its rank from 1, null where that side did not find it."""

    chunk_id: UUID
    dense: float | None = Field(description="cosine similarity of the vectors")
    dense_rank: int | None
    lexical: float | None = Field(description="BM25 score")
    lexical_rank: int | None
    fused: float
    reranked: float | None = Field(default=None, description="what the reranker gave it, where one is set")
    left_out: Literal["folded", "cut"] | None = Field(
        description="folded: says the same as `like`; cut: its document has given enough"
    )
    like: UUID | None


class TurnTrace(Response):
    """How a turn's sources were found, and what was made of them: it is refused where `answerable` is below
    `refusal_score`."""

    hits: list[TraceOut]
    query: str = Field(description="what was searched for")
    answerable: float | None = Field(
        description="how likely what was found answers it; null where nothing was"
    )
    refusal_score: float
    timings: dict[str, float] = Field(description="milliseconds of each part so far")
