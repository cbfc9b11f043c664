"""Conversation memory: conversations and their messages."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id

Role = Literal["user", "assistant"]
Channel = Literal["chat", "openai"]
"""Whether a conversation is kept here, or by a client that speaks OpenAI's protocol and sends it along each time."""
EXTRACTIVE = "extractive"
"""Stands in the place of a model's name where sentences of documents were quoted."""
MessageState = Literal["streaming", "complete", "stopped", "failed", "interrupted"]


class Conversation(Base):
    """A thread of turns that belongs to one caller."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_owner_updated_at_id", "owner", "updated_at", "id"),
        Index("ix_conversations_knowledge_base_id_updated_at", "knowledge_base_id", "updated_at"),
    )

    id: Mapped[Id]
    owner: Mapped[str] = mapped_column(String(100), doc="the principal's subject")
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    channel: Mapped[Channel] = mapped_column(String(16), server_default="chat")
    pinned_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt] = mapped_column(doc="when it was last written in")


class Message(Base):
    """A question, or an answer with all that made it."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_conversation_id_id", "conversation_id", "id"),
        Index("ix_messages_parent_id", "parent_id"),
        Index("ix_messages_refused", "created_at", postgresql_where=text("finish_reason = 'refused'")),
        # Finds the answers that quote a document, when it is erased.
        Index(
            "ix_messages_sources",
            "sources",
            postgresql_using="gin",
            postgresql_ops={"sources": "jsonb_path_ops"},
        ),
    )

    id: Mapped[Id]
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    role: Mapped[Role] = mapped_column(String(16))
    state: Mapped[MessageState] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text, default="")
    sources: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    citations: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    retrieval_query: Mapped[str | None] = mapped_column(Text, doc="what was searched for")
    model: Mapped[str | None] = mapped_column(String(200))
    prompts: Mapped[list[dict[str, Any]]] = mapped_column(default=list, doc="name, version and hash of each")
    usage: Mapped[dict[str, Any]] = mapped_column(default=dict)
    timings: Mapped[dict[str, Any]] = mapped_column(default=dict, doc="milliseconds")
    finish_reason: Mapped[str | None] = mapped_column(String(32))
    degraded: Mapped[bool] = mapped_column(
        default=False, server_default=false(), doc="quoted, since no language model gave a word"
    )
    error_code: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
