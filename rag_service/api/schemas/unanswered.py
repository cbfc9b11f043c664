"""Shapes of the questions that were refused."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from rag_service.api.schemas.base import Response


class UnansweredOut(Response):
    id: UUID = Field(description="of the question asked last")
    question: str
    wordings: list[str] = Field(description="how it was worded, the newest first; five at most")
    count: int
    first_at: datetime
    last_at: datetime
