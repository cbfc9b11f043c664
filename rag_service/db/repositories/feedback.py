"""Queries on feedback: callers see and change their own, admins read everybody's."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rag_service.db.models import (
    Conversation,
    Feedback,
    KnowledgeBase,
    Message,
    Rating,
    Reason,
    new_id,
)
from rag_service.db.repositories.branches import no_such_message
from rag_service.errors import InvalidInput

HISTORY = 20
"""How many messages before a question are looked at for the questions among them."""


@dataclass(frozen=True)
class Rated:
    """Feedback with what it is about. `history` are the questions before, oldest first."""

    feedback: Feedback
    answer: Message
    question: str
    history: Sequence[str]
    knowledge_base: KnowledgeBase


@dataclass(frozen=True)
class Wanted:
    """Which feedback is looked for; None means any."""

    knowledge_base: str | None = None
    rating: Rating | None = None
    reason: Reason | None = None
    since: datetime | None = None
    until: datetime | None = None


class OwnFeedback:
    """Of one caller."""

    def __init__(self, session: AsyncSession, owner: str) -> None:
        self._session = session
        self._owner = owner

    async def of(self, messages: Collection[UUID]) -> dict[UUID, Feedback]:
        """Of those of these messages that have any."""
        rows = await self._session.scalars(
            select(Feedback)
            .join(Message, Message.id == Feedback.message_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Feedback.message_id.in_(messages), Conversation.owner == self._owner)
        )
        return {feedback.message_id: feedback for feedback in rows}

    async def give(
        self, message_id: UUID, rating: Rating | None, reason: Reason | None, comment: str | None
    ) -> Feedback | None:
        """Say what to think of an answer, in place of what was said before; without a rating it is taken back.

        Raises:
            NotFound: there is no such message, or it is another caller's.
            InvalidInput: it is a question.
        """
        await self._check(message_id)
        if rating is None:
            await self._session.execute(delete(Feedback).where(Feedback.message_id == message_id))
            return None
        said = {"rating": rating, "reason": reason, "comment": comment}
        statement = (
            insert(Feedback)
            .values(id=new_id(), message_id=message_id, **said)
            .on_conflict_do_update(index_elements=["message_id"], set_={**said, "updated_at": func.now()})
            .returning(Feedback)
        )
        return await self._session.scalar(statement, execution_options={"populate_existing": True})

    async def _check(self, message_id: UUID) -> None:
        role = await self._session.scalar(
            select(Message.role)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(
                Message.id == message_id,
                Conversation.owner == self._owner,
                KnowledgeBase.deleted_at.is_(None),
            )
            .with_for_update(read=True, key_share=True, of=Message)
        )
        if role is None:
            raise no_such_message()
        if role != "assistant":
            raise InvalidInput("This message is a question; feedback is given on answers.")


class AllFeedback:
    """Of everybody, for admins."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page(self, wanted: Wanted, *, before: UUID | None, limit: int) -> list[Rated]:
        """The feedback that is wanted, the newest first."""
        question = aliased(Message)
        statement = (
            select(Feedback, Message, question.content, question.parent_id, KnowledgeBase)
            .join(Message, Message.id == Feedback.message_id)
            .join(question, question.id == Message.parent_id)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(KnowledgeBase.deleted_at.is_(None))
            .order_by(Feedback.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(Feedback.id < before)
        if wanted.knowledge_base is not None:
            statement = statement.where(KnowledgeBase.slug == wanted.knowledge_base)
        if wanted.rating is not None:
            statement = statement.where(Feedback.rating == wanted.rating)
        if wanted.reason is not None:
            statement = statement.where(Feedback.reason == wanted.reason)
        if wanted.since is not None:
            statement = statement.where(Feedback.created_at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(Feedback.created_at < wanted.until)
        rows = (await self._session.execute(statement)).all()
        histories = await self._questions_before({row[3] for row in rows if row[3] is not None})
        return [Rated(row[0], row[1], row[2], histories[row[3]] if row[3] else [], row[4]) for row in rows]

    async def _questions_before(self, answers: Collection[UUID]) -> dict[UUID, list[str]]:
        """The questions on the way to each of these answers, oldest first."""
        way = (
            select(Message.id, Message.parent_id, Message.id.label("goal"), literal(1).label("step"))
            .where(Message.id.in_(answers))
            .cte(recursive=True)
        )
        way = way.union_all(
            select(Message.id, Message.parent_id, way.c.goal, way.c.step + 1)
            .join(way, Message.id == way.c.parent_id)
            .where(way.c.step < HISTORY)
        )
        rows = await self._session.execute(
            select(way.c.goal, Message.content)
            .join(way, Message.id == way.c.id)
            .where(Message.role == "user")
            .order_by(way.c.step.desc())
        )
        histories: dict[UUID, list[str]] = defaultdict(list)
        for goal, content in rows:
            histories[goal].append(content)
        return histories
