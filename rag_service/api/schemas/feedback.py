"""Shapes of what callers say of answers."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_service.api.schemas.base import Request, Response, printable
from rag_service.db.models import Rating, Reason
from rag_service.db.repositories.feedback import Rated

Comment = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(printable)
]


class FeedbackRequest(Request):
    rating: Rating | None = Field(description="null takes back what was said before")
    reason: Reason | None = Field(default=None, description="what is wrong with an answer that is disliked")
    comment: Comment | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.reason is not None and self.rating != "dislike":
            raise ValueError("a reason goes with the rating `dislike`")
        if self.comment is not None and self.rating is None:
            raise ValueError("a comment goes with a rating")
        return self


class FeedbackOut(Response):
    rating: Rating
    reason: Reason | None
    comment: str | None
    updated_at: datetime


class RatedAnswerOut(FeedbackOut):
    """Feedback with all that it is about, for admins. Whose it is is not among it."""

    id: UUID
    message_id: UUID
    conversation_id: UUID
    knowledge_base: str
    language: str | None = Field(description="of the knowledge base")
    history: list[str] = Field(description="the questions before this one, oldest first")
    question: str
    answer: str
    finish_reason: str | None
    model: str | None
    sources: list[dict[str, Any]]
    citations: list[dict[str, Any]]
    created_at: datetime

    @classmethod
    def of(cls, rated: Rated) -> Self:
        feedback, answer = rated.feedback, rated.answer
        return cls(
            id=feedback.id,
            rating=feedback.rating,
            reason=feedback.reason,
            comment=feedback.comment,
            created_at=feedback.created_at,
            updated_at=feedback.updated_at,
            message_id=answer.id,
            conversation_id=answer.conversation_id,
            knowledge_base=rated.knowledge_base.slug,
            language=rated.knowledge_base.language,
            history=list(rated.history),
            question=rated.question,
            answer=answer.content,
            finish_reason=answer.finish_reason,
            model=answer.model,
            sources=answer.sources,
            citations=answer.citations,
        )
