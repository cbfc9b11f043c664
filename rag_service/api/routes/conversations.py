"""Conversations of the caller: list, read, delete."""

from uuid import UUID

from fastapi import APIRouter

from rag_service.api.deps import Limit, ProtectedRoute, Svc, Visitor
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.chat import ConversationOut, MessageOut
from rag_service.db.models import Channel, Conversation
from rag_service.db.repositories.conversations import Conversations

router = APIRouter(prefix="/conversations", tags=["conversations"], route_class=ProtectedRoute)


@router.get("")
async def list_conversations(
    principal: Visitor,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    channel: Channel = "chat",
) -> Page[ConversationOut]:
    """Your conversations, the one last used first; with `channel=openai` the turns of `/v1/chat/completions`, each a
    conversation of its own."""
    async with services.database.transaction() as session:
        rows = await Conversations(session, principal.subject).page(
            before=cursor, limit=limit, channel=channel
        )
    items = [_out(conversation, slug) for conversation, slug in rows]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)


@router.get("/{conversation_id}/messages")
async def list_messages(
    conversation_id: UUID, principal: Visitor, services: Svc, limit: Limit = 100
) -> Page[MessageOut]:
    """The newest messages of a conversation, oldest first, with all that made each answer."""
    messages = await services.chat.messages(principal, conversation_id, limit=limit)
    return Page(items=[MessageOut.model_validate(message) for message in messages])


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(conversation_id: UUID, principal: Visitor, services: Svc) -> None:
    """Delete a conversation with its messages."""
    async with services.database.transaction() as session:
        await Conversations(session, principal.subject).delete(conversation_id)


def _out(conversation: Conversation, slug: str) -> ConversationOut:
    return ConversationOut(
        id=conversation.id,
        title=conversation.title,
        knowledge_base=slug,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
    )
