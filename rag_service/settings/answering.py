"""What an answer is made of: the search, its refusal, and how much of what goes into the prompt."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Answering(BaseModel):
    """Of the search and of the prompt."""

    retrieve_chunks: Annotated[int, Field(ge=1, le=50)] = 8
    reranker_model: str | None = Field(
        default=None,
        description="a cross-encoder that orders the best chunks anew: a local path or a hub name; unset means none",
    )
    rerank_chunks: Annotated[int, Field(ge=1, le=100)] = Field(
        default=30, description="how many of the best chunks the reranker looks at"
    )
    rerank_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=2.0, description="how long it may take; a question that it is late for keeps the order it had"
    )
    query_expansion: Literal["off", "multi_query", "hypothetical_answer"] = Field(
        default="off",
        description="what the language model adds to a search: other wordings of the question, or an imagined answer",
    )
    refusal_score: Annotated[float, Field(ge=-1, le=1)] = Field(
        default=0.3,
        description="how likely, from 0 to 1, it must be that what was found answers a question; below, it counts as "
        "not covered. `rag-ingest calibrate` sets it for a knowledge base",
    )
    history_tokens: Annotated[int, Field(ge=0)] = 1500
    context_tokens: Annotated[int, Field(ge=200)] = 3000
    answer_tokens: Annotated[int, Field(ge=16)] = 1000
