"""Turns as they happen: which process makes each, and what it has told so far."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt


class StoredRun(Base):
    """A turn under way, or one that ended a while ago. It ends in the transaction that saves its answer."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_replica", "replica", postgresql_where="ended_at IS NULL"),
        Index("ix_runs_ended_at", "ended_at"),
        Index("ix_runs_message_id", "message_id"),
        Index("ix_runs_conversation_id", "conversation_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(100), doc="the principal's subject")
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), doc="the answer")
    replica: Mapped[str] = mapped_column(String(300), doc="the api process that makes it, by its lock's name")
    stop_requested: Mapped[bool] = mapped_column(default=False)
    followed_at: Mapped[datetime | None] = mapped_column(doc="when another process last had a reader of it")
    created_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]


class StoredEvents(Base):
    """Some events of a run in a row, numbered from `first` to `last`."""

    __tablename__ = "run_events"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]
    events: Mapped[str] = mapped_column(Text, doc="JSON: a list of [name, data]")
