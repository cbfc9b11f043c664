"""Shapes of turns and conversations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, computed_field

from rag_service.api.schemas.base import Question, Request, Response, Slug
from rag_service.api.schemas.filters import FiltersIn
from rag_service.chat.support import is_claimed, unsupported


class ChatRequest(Request):
    message: Question
    conversation_id: UUID | None = Field(default=None, description="goes on with a conversation of yours")
    parent_message_id: UUID | None = Field(
        default=None, description="the message this one follows; the last if unset"
    )
    knowledge_base: Slug | None = Field(
        default=None, description="asked in a new conversation; `default` if unset"
    )
    filters: FiltersIn | None = Field(default=None, description="answer from some of the documents only")
    stream: bool = Field(default=True, description="server-sent events, or one JSON when the answer is whole")


class CitationOut(Response):
    number: int
    document_id: UUID
    chunk_id: UUID
    answer_span: tuple[int, int]
    quote: str
    source_span: tuple[int, int]
    page: int | None
    supported: bool = Field(default=True, description="false: the source was not found to say so")


class SourceOut(Response):
    number: int
    document_id: UUID
    chunk_id: UUID
    filename: str
    title: str
    headings: list[str]
    page: int | None
    score: float
    text: str
    context: str = ""


class ChatAnswer(Response):
    """A turn that was not streamed."""

    conversation_id: UUID
    message_id: UUID
    answer: str
    citations: list[CitationOut]
    sources: list[SourceOut]
    finish_reason: str
    model: str
    degraded: bool
    unsupported: list[tuple[int, int]] = Field(
        default=[], description="spans of the sentences that no source was found to support"
    )
    usage: dict[str, Any]
    timings: dict[str, float]


class ConversationOut(Response):
    id: UUID
    title: str
    knowledge_base: str
    created_at: datetime
    updated_at: datetime


class MessageOut(Response):
    id: UUID
    parent_id: UUID | None
    role: str
    state: str
    content: str
    sources: list[dict[str, Any]]
    citations: list[dict[str, Any]]
    model: str | None
    prompts: list[dict[str, Any]]
    usage: dict[str, Any]
    timings: dict[str, Any]
    finish_reason: str | None
    error_code: str | None
    created_at: datetime

    @computed_field(description="spans of the sentences that no source was found to support")  # type: ignore[prop-decorator]
    @property
    def unsupported(self) -> list[tuple[int, int]]:
        if not is_claimed(self.model, self.finish_reason):
            return []
        return unsupported(
            self.content, [one["answer_span"] for one in self.citations if one.get("supported", True)]
        )
