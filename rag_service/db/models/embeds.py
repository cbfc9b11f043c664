"""Widget embeds: public ids that let the pages of some origins ask one knowledge base."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt


class Embed(Base):
    """One embed. Its id is public: what protects it are the origins it is for."""

    __tablename__ = "embeds"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    origins: Mapped[list[str]] = mapped_column(
        ARRAY(Text), doc="such as https://example.org; none means nowhere"
    )
    identity_salt: Mapped[str | None] = mapped_column(
        String(64), doc="the identity secret is derived from it and the server's own; None: there is none"
    )
    previous_identity_salt: Mapped[str | None] = mapped_column(String(64), doc="before a rotation")
    previous_identity_until: Mapped[datetime | None]
    require_identity: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
    revoked_at: Mapped[datetime | None]
