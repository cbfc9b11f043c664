"""Shapes of turns and conversations."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, ValidationInfo, computed_field, field_validator, model_validator

from rag_service.api.schemas.base import Question, Request, Response, Slug
from rag_service.api.schemas.feedback import FeedbackOut
from rag_service.api.schemas.filters import FiltersIn
from rag_service.api.schemas.traces import TurnTrace
from rag_service.chat.branches import NEWEST, Parent
from rag_service.chat.support import is_claimed, unsupported
from rag_service.db.models import Conversation


class ChatRequest(Request):
    regenerate_message_id: UUID | None = Field(
        default=None,
        description="an answer, or its question, to be answered anew beside the answers there are; goes without "
        "`message`",
    )
    message: Annotated[Question | None, Field(validate_default=True)] = Field(
        default=None, description="the question"
    )
    conversation_id: UUID | None = Field(default=None, description="goes on with a conversation of yours")
    parent_message_id: UUID | None = Field(
        default=None,
        description="the answer this question follows: the newest if unset, none at all (a first question worded "
        "anew) if null",
    )
    knowledge_base: Slug | None = Field(
        default=None, description="asked in a new conversation; `default` if unset"
    )
    filters: FiltersIn | None = Field(default=None, description="answer from some of the documents only")
    trace: bool = Field(
        default=False, description="tell how the sources were found, in an event `trace`; for admins"
    )
    stream: bool = Field(default=True, description="server-sent events, or one JSON when the answer is whole")

    @field_validator("message")
    @classmethod
    def _asked_one_way(cls, message: str | None, info: ValidationInfo) -> str | None:
        again = info.data.get("regenerate_message_id")
        if message is None and again is None and "regenerate_message_id" in info.data:
            raise ValueError("give a question, or the id of an answer in regenerate_message_id")
        if message is not None and again is not None:
            raise ValueError("leave it out where regenerate_message_id is given: the question stays as it is")
        return message

    @model_validator(mode="after")
    def _follows_one_way(self) -> Self:
        if self.regenerate_message_id is not None and self.parent_message_id is not None:
            raise ValueError("give regenerate_message_id or parent_message_id, not both")
        return self

    @property
    def parent(self) -> Parent:
        """What the question follows. Left out and null are two things."""
        return self.parent_message_id if "parent_message_id" in self.model_fields_set else NEWEST


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
    ordinal: int = Field(default=0, description="place of the chunk in its document, from 0")
    widens: int | None = Field(
        default=None,
        description="number of the source that this one stands next to, where it was not found itself",
    )


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
    trace: TurnTrace | None = None


class ConversationOut(Response):
    id: UUID
    title: str
    knowledge_base: str
    pinned: bool
    archived: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: Conversation, slug: str) -> Self:
        return cls(
            id=found.id,
            title=found.title,
            knowledge_base=slug,
            pinned=found.pinned_at is not None,
            archived=found.archived_at is not None,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )


class MessageOut(Response):
    id: UUID
    parent_id: UUID | None
    sibling_ids: list[UUID] = Field(
        default=[], description="all that share its parent, itself included, the oldest first"
    )
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
    degraded: bool = Field(description="quoted, since the language model gave no word")
    error_code: str | None
    feedback: FeedbackOut | None = Field(default=None, description="what you said of this answer")
    created_at: datetime

    @computed_field(description="spans of the sentences that no source was found to support")  # type: ignore[prop-decorator]
    @property
    def unsupported(self) -> list[tuple[int, int]]:
        if not is_claimed(self.model, self.finish_reason):
            return []
        return unsupported(
            self.content, [one["answer_span"] for one in self.citations if one.get("supported", True)]
        )
