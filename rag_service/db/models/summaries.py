"""What is kept in short of turns that no longer fit in memory."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id


class Summary(Base):
    """All that was said on the way to `message_id`, that message included. Derived: it can be made anew."""

    __tablename__ = "summaries"
    __table_args__ = (
        Index("uq_summaries_message_id", "message_id", unique=True),
        Index("ix_summaries_conversation_id", "conversation_id"),
    )

    id: Mapped[Id]
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(200))
    prompt: Mapped[dict[str, Any]] = mapped_column(doc="name, version and hash of the prompt that made it")
    tokens: Mapped[int] = mapped_column(doc="of `text`, in the chat model's tokens")
    created_at: Mapped[CreatedAt]
