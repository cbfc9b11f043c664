"""API keys: what is kept can check a key, not tell it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import LargeBinary, String, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id

KeyRole = Literal["admin", "evaluator", "chat"]


class ApiKey(Base):
    """One credential. `prefix` finds it, `mac` proves it."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[KeyRole] = mapped_column(String(16))
    prefix: Mapped[str] = mapped_column(String(32), unique=True)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    previous_mac: Mapped[bytes | None] = mapped_column(LargeBinary, doc="of the secret before a rotation")
    previous_until: Mapped[datetime | None] = mapped_column(doc="how long that one proves the key too")
    scope: Mapped[list[UUID]] = mapped_column(
        ARRAY(Uuid()), server_default="{}", doc="ids of the knowledge bases it is for; none: for all"
    )
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
