"""Conversations of the caller: list and search, read, rename, pin, archive, delete."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from rag_service.api.deps import Limit, ProtectedRoute, Svc, Visitor
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.chat import ConversationOut
from rag_service.api.schemas.conversations import ConversationChange, ErasedOut, Words
from rag_service.db.models import Channel
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.people import erase_conversations

router = APIRouter(prefix="/conversations", tags=["conversations"], route_class=ProtectedRoute)


@router.get("")
async def list_conversations(
    principal: Visitor,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    q: Annotated[Words | None, Query(description="what stands in the title or in a message")] = None,
    archived: Annotated[bool, Query(description="the archived ones instead of the others")] = False,
    channel: Annotated[Channel, Query(description="`openai`: the turns of `/v1/chat/completions`")] = "chat",
) -> Page[ConversationOut]:
    """Your conversations: the pinned first, then the one last used."""
    async with services.database.transaction() as session:
        rows = await Conversations(session, principal.subject).page(
            before=cursor, limit=limit, words=q, archived=archived, channel=channel
        )
    items = [ConversationOut.of(conversation, slug) for conversation, slug in rows]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)


@router.delete("")
async def delete_all_conversations(principal: Visitor, services: Svc) -> ErasedOut:
    """Erase all your conversations with their messages and your feedback. The second time nothing is left to be."""
    async with services.database.transaction() as session:
        return ErasedOut.model_validate(await erase_conversations(session, principal.subject))


@router.get("/{conversation_id}")
async def get_conversation(conversation_id: UUID, principal: Visitor, services: Svc) -> ConversationOut:
    """One of your conversations."""
    async with services.database.transaction() as session:
        return ConversationOut.of(*await Conversations(session, principal.subject).with_slug(conversation_id))


@router.patch("/{conversation_id}")
async def change_conversation(
    conversation_id: UUID, body: ConversationChange, principal: Visitor, services: Svc
) -> ConversationOut:
    """Rename, pin or archive a conversation."""
    async with services.database.transaction() as session:
        changed = await Conversations(session, principal.subject).change(
            conversation_id, **body.model_dump(exclude_unset=True)
        )
        return ConversationOut.of(*changed)


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(conversation_id: UUID, principal: Visitor, services: Svc) -> None:
    """Delete a conversation with its messages."""
    async with services.database.transaction() as session:
        await Conversations(session, principal.subject).delete(conversation_id)
