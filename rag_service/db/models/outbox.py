"""What has to reach others exactly as it was decided here: answers to repeated requests, and webhooks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id


class IdempotencyKey(Base):
    """A request that may be sent again: the second time it gets the first one's answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    owner: Mapped[str] = mapped_column(String(100), primary_key=True, doc="the principal's subject")
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64), doc="SHA-256 of route and body")
    status: Mapped[int | None] = mapped_column(doc="None while the first one is under way")
    response: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]


class WebhookDelivery(Base):
    """The news that a job has ended, entered in the transaction that ended it, and sent until it arrives."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_not_before", "not_before"),)

    id: Mapped[Id]
    job_id: Mapped[UUID]
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None] = mapped_column(doc="when it is due; None: delivered or given up")
    delivered_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
