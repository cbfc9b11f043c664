"""API keys: what is kept can check a key, not tell it."""

from datetime import datetime
from typing import Literal

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id

KeyRole = Literal["admin", "chat"]


class ApiKey(Base):
    """One credential. `prefix` finds it, `mac` proves it."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[KeyRole] = mapped_column(String(16))
    prefix: Mapped[str] = mapped_column(String(32), unique=True)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
