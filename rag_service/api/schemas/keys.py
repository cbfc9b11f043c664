"""Shapes of API keys."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from rag_service.api.schemas.base import Moment, Name, Request, Response, Slug
from rag_service.auth.service import Described
from rag_service.db.models import KeyRole
from rag_service.errors import InvalidInput

Bases = Annotated[
    list[Slug],
    Field(max_length=100, description="slugs of the knowledge bases it is for; none: for all"),
]


class KeyRequest(Request):
    name: Name
    role: KeyRole = "chat"
    knowledge_bases: Bases = Field(default_factory=list)
    expires_at: Moment | None = Field(default=None, description="null: it lasts until it is revoked")


class KeyChange(Request):
    """What is not given stays as it is."""

    name: Name | None = None
    knowledge_bases: Bases | None = None
    expires_at: Moment | None = Field(default=None, description="null: it lasts until it is revoked")

    def changes(self) -> dict[str, Any]:
        """What is to be changed. Raises InvalidInput where a name or a scope is null."""
        given = self.model_dump(exclude_unset=True)
        if any(given.get(field, "") is None for field in ("name", "knowledge_bases")):
            raise InvalidInput("A key's name and knowledge_bases cannot be null; an empty list means all.")
        return given


class KeyOut(Response):
    id: UUID
    prefix: str
    name: str
    role: KeyRole
    knowledge_bases: list[str] = Field(description="none: for all; a deleted one stands here by its id")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")
    old_secret_until: datetime | None = Field(
        description="until when the secret before a rotation counts too"
    )
    revoked_at: datetime | None

    @classmethod
    def of(cls, described: Described, **more: Any) -> Self:
        key = described.key
        return cls(
            id=key.id,
            prefix=key.prefix,
            name=key.name,
            role=key.role,
            knowledge_bases=described.knowledge_bases,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            old_secret_until=key.previous_until,
            revoked_at=key.revoked_at,
            **more,
        )


class NewKeyOut(KeyOut):
    key: str = Field(description="its full text, shown this once")
