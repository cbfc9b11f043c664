"""The audit log: who did what, and when."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, Id


class AuditEntry(Base):
    """One act. It names what it is about by id and slug, not by foreign key: it outlives both."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_at", "at"),
        Index("ix_audit_log_knowledge_base_id", "knowledge_base", "id"),
    )

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str] = mapped_column(String(255), doc="the principal's subject, or `cli`")
    key_prefix: Mapped[str] = mapped_column(String(32), doc="empty where it was no key")
    key_name: Mapped[str] = mapped_column(String(200), doc="as it was then")
    action: Mapped[str] = mapped_column(String(64), doc="such as `document.deleted`")
    target_type: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[str] = mapped_column(String(100))
    knowledge_base: Mapped[str | None] = mapped_column(String(63), doc="its slug, as it was then")
    request_id: Mapped[str] = mapped_column(String(64))
    ip: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(doc="neither secrets nor what users wrote")
