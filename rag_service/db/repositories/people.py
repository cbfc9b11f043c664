"""Erasing a person: all that is kept of one subject."""

from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Conversation, Feedback, IdempotencyKey, Message


@dataclass(frozen=True)
class Erased:
    """How many rows of each kind were erased."""

    conversations: int
    messages: int
    feedback: int


async def erase(session: AsyncSession, subject: str) -> Erased:
    """Erase all that is kept of a subject: conversations with what hangs on them, and requests that may be repeated."""
    erased = await erase_conversations(session, subject)
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.owner == subject))
    return erased


async def erase_conversations(session: AsyncSession, subject: str) -> Erased:
    """Erase all conversations of a subject with what hangs on them: messages, feedback, summaries.

    A turn under way ends as it would, and is not stored.
    """
    conversations = select(Conversation.id).where(Conversation.owner == subject)
    messages = select(Message.id).where(Message.conversation_id.in_(conversations))
    feedback = select(Feedback.id).where(Feedback.message_id.in_(messages))
    # Locked, so that what is counted is what is erased: no message can be added to them from here on.
    found = len((await session.scalars(conversations.with_for_update())).all())
    counts = select(
        *(select(func.count()).select_from(of.subquery()).scalar_subquery() for of in (messages, feedback))
    )
    row = (await session.execute(counts)).one()
    await session.execute(delete(Conversation).where(Conversation.owner == subject))
    return Erased(conversations=found, messages=row[0], feedback=row[1])
