"""Queries on the questions that were refused: nobody's name is on them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rag_service.db.models import Conversation, Message


@dataclass(frozen=True)
class Refusal:
    """A question that was refused, once or, answered anew, several times."""

    question_id: UUID
    question: str
    at: datetime


class Refusals:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def between(
        self, knowledge_base_id: UUID, since: datetime, until: datetime, *, newest: int
    ) -> list[Refusal]:
        """The questions to a knowledge base refused in this time, `newest` at most, the newest first."""
        question = aliased(Message)
        rows = await self._session.execute(
            select(question.id, question.content, Message.created_at)
            .join(question, question.id == Message.parent_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(
                Message.finish_reason == "refused",
                Message.created_at >= since,
                Message.created_at < until,
                Conversation.knowledge_base_id == knowledge_base_id,
            )
            .order_by(Message.created_at.desc(), Message.id.desc())
            .limit(newest)
        )
        return [Refusal(*row) for row in rows]
