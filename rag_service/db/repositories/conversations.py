"""Queries on conversations and messages. Who asks is part of every query: a foreign row does not exist."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Channel, Conversation, KnowledgeBase, Message, new_id
from rag_service.errors import NotFound


class Conversations:
    def __init__(self, session: AsyncSession, owner: str) -> None:
        self._session = session
        self._owner = owner

    async def get(self, conversation_id: UUID) -> Conversation:
        """Raises NotFound where there is none, it is another caller's, or its knowledge base was deleted: all look
        the same."""
        found = await self._session.scalar(
            select(Conversation)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(
                Conversation.id == conversation_id,
                Conversation.owner == self._owner,
                KnowledgeBase.deleted_at.is_(None),
            )
        )
        if found is None:
            raise NotFound("There is no such conversation.", code="conversation_not_found")
        return found

    async def start(self, knowledge_base_id: UUID, title: str, channel: Channel = "chat") -> Conversation:
        conversation = Conversation(
            id=new_id(),
            owner=self._owner,
            knowledge_base_id=knowledge_base_id,
            title=title,
            channel=channel,
        )
        self._session.add(conversation)
        await self._session.flush()
        return conversation

    async def page(
        self, *, before: UUID | None, limit: int, channel: Channel = "chat"
    ) -> list[tuple[Conversation, str]]:
        """Conversations of a channel with the slug of their knowledge base, the one last used first."""
        statement = (
            select(Conversation, KnowledgeBase.slug)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(
                Conversation.owner == self._owner,
                Conversation.channel == channel,
                KnowledgeBase.deleted_at.is_(None),
            )
            .order_by(Conversation.updated_at.desc(), Conversation.id.desc())
            .limit(limit)
        )
        if before is not None:
            mark = await self.get(before)
            statement = statement.where(
                tuple_(Conversation.updated_at, Conversation.id) < tuple_(mark.updated_at, mark.id)
            )
        return [(row[0], row[1]) for row in await self._session.execute(statement)]

    async def delete(self, conversation_id: UUID) -> None:
        """Raises NotFound where there is none."""
        await self._session.delete(await self.get(conversation_id))

    async def messages(self, conversation_id: UUID, *, newest: int) -> list[Message]:
        """The last `newest` messages, oldest first. Raises NotFound for a foreign conversation."""
        await self.get(conversation_id)
        rows = await self._session.scalars(
            select(Message)
            .where(Message.conversation_id == conversation_id)
            .order_by(Message.id.desc())
            .limit(newest)
        )
        return list(rows)[::-1]

    async def leading_to(self, message_id: UUID, *, newest: int) -> list[Message]:
        """The last `newest` messages on the way to a message, oldest first: each is the parent of the next.

        What was said on other branches of the conversation, or at the same time, is not among them.
        """
        way = (
            select(Message.parent_id, literal(1).label("step"))
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Message.id == message_id, Conversation.owner == self._owner)
            .cte(recursive=True)
        )
        way = way.union_all(
            select(Message.parent_id, way.c.step + 1)
            .join(way, Message.id == way.c.parent_id)
            .where(way.c.step < newest)
        )
        rows = await self._session.scalars(
            select(Message).join(way, Message.id == way.c.parent_id).order_by(way.c.step.desc())
        )
        return list(rows)

    async def add_turn(
        self, conversation: Conversation, question: str, parent_id: UUID | None
    ) -> tuple[Message, Message]:
        """Save a question and, in state `streaming`, the answer that is about to be made."""
        asked = Message(
            id=new_id(),
            conversation_id=conversation.id,
            parent_id=parent_id,
            role="user",
            state="complete",
            content=question,
        )
        self._session.add(asked)
        await self._session.flush()
        answer = Message(
            id=new_id(),
            conversation_id=conversation.id,
            parent_id=asked.id,
            role="assistant",
            state="streaming",
            content="",
        )
        self._session.add(answer)
        await self._session.execute(
            update(Conversation).where(Conversation.id == conversation.id).values(updated_at=func.now())
        )
        await self._session.flush()
        return asked, answer

    async def finish(self, message_id: UUID, **values: Any) -> None:
        """Save how an answer ended. One that has ended already stays as it is; one that another process's start
        took for interrupted was not, as its own process knows better."""
        await self._session.execute(
            update(Message)
            .where(Message.id == message_id, Message.state.in_(("streaming", "interrupted")))
            .values(finished_at=func.now(), **values)
        )


async def mark_interrupted(session: AsyncSession) -> int:
    """Answers that were being streamed when their process died: how many were marked so."""
    rows = await session.scalars(
        update(Message)
        .where(Message.state == "streaming")
        .values(state="interrupted", error_code="interrupted", finished_at=func.now())
        .returning(Message.id)
    )
    return len(rows.all())
