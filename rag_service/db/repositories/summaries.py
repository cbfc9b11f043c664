"""Queries on summaries of long conversations. They are derived: what is lost of them is made anew."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Conversation, Message, Summary, new_id


class Summaries:
    """Of one caller's conversations."""

    def __init__(self, session: AsyncSession, owner: str) -> None:
        self._session = session
        self._owner = owner

    async def newest_before(self, message_id: UUID) -> Summary | None:
        """The summary of most of what leads to a message; None where there is none on its branch."""
        way = (
            select(Message.id, Message.parent_id, literal(0).label("step"))
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Message.id == message_id, Conversation.owner == self._owner)
            .cte(recursive=True)
        )
        way = way.union_all(
            select(Message.id, Message.parent_id, way.c.step + 1).join(way, Message.id == way.c.parent_id)
        )
        return await self._session.scalar(
            select(Summary).join(way, Summary.message_id == way.c.id).order_by(way.c.step).limit(1)
        )

    async def add(self, made: Summary, base: Summary | None, messages: Sequence[Message]) -> bool:
        """Store a summary that was made of `base` and these messages, and tell whether it was.

        It is not where one of them has changed or is gone since: what an erased document said must not live on in a
        summary. The caller holds the conversation.
        """
        # The messages before the summary, as those who erase a document lock them.
        rows = await self._session.execute(
            select(Message.id, Message.content)
            .where(Message.id.in_([message.id for message in messages]))
            .order_by(Message.id)
            .with_for_update(read=True)
        )
        if {row[0]: row[1] for row in rows} != {message.id: message.content for message in messages}:
            return False
        if base is not None and not await self._is_there(base):
            return False
        values: dict[str, Any] = {
            "id": new_id(),
            "conversation_id": made.conversation_id,
            "message_id": made.message_id,
            "text": made.text,
            "model": made.model,
            "prompt": made.prompt,
            "tokens": made.tokens,
        }
        statement = insert(Summary).values(values).on_conflict_do_nothing().returning(Summary.id)
        return await self._session.scalar(statement) is not None

    async def _is_there(self, summary: Summary) -> bool:
        found = await self._session.scalar(
            select(Summary.id).where(Summary.id == summary.id).with_for_update(read=True)
        )
        return found is not None


async def forget(session: AsyncSession, conversations: Collection[UUID]) -> None:
    """Remove the summaries of these conversations, those too that are stored meanwhile."""
    while conversations:
        removed = await session.execute(delete(Summary).where(Summary.conversation_id.in_(conversations)))
        assert isinstance(removed, CursorResult)  # noqa: S101 - of a DELETE it always is
        if not removed.rowcount:
            return
