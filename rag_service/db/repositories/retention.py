"""Conversations that their knowledge base does not keep any longer."""

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Conversation, KnowledgeBase


async def delete_outdated(session: AsyncSession, *, limit: int) -> int:
    """Delete conversations last written in longer ago than their knowledge base's `retention_days`, `limit` at most.

    Returns how many. One that is being written in is left for the next time.
    """
    kept = func.make_interval(0, 0, 0, KnowledgeBase.retention_days)
    outdated = (
        select(Conversation.id)
        .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
        .where(KnowledgeBase.retention_days.is_not(None), Conversation.updated_at < func.now() - kept)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Conversation)
    )
    found = list(await session.scalars(outdated))
    await session.execute(delete(Conversation).where(Conversation.id.in_(found)))
    return len(found)
