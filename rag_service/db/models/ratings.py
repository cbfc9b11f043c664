"""What callers think of answers."""

from typing import Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id

Rating = Literal["like", "dislike"]
Reason = Literal["wrong", "incomplete", "outdated", "irrelevant_sources", "refused_wrongly", "other"]


class Feedback(Base):
    """What the one who asked says of an answer: one row an answer."""

    __tablename__ = "feedback"
    __table_args__ = (Index("uq_feedback_message_id", "message_id", unique=True),)

    id: Mapped[Id]
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    rating: Mapped[Rating] = mapped_column(String(8))
    reason: Mapped[Reason | None] = mapped_column(String(32), doc="of a dislike")
    comment: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
