"""Shapes of embeds and visitor tokens."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints

from rag_service.api.schemas.base import Name, Request, Response, Slug
from rag_service.auth.service import OVERLAP_HOURS
from rag_service.db.repositories.embeds import LivingEmbed
from rag_service.errors import InvalidInput

EmbedId = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,64}$")]
Origin = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=300)]


class EmbedRequest(Request):
    name: Name
    knowledge_base: Slug = "default"
    origins: list[Origin] = Field(
        default_factory=list, max_length=50, description="such as https://www.example.org"
    )
    require_identity: bool = Field(
        default=False, description="refuse visitors of whom the site's backend does not say who they are"
    )


class EmbedChange(Request):
    """What is not given stays as it is."""

    name: Name | None = None
    origins: list[Origin] | None = Field(default=None, max_length=50)
    require_identity: bool | None = None

    def changes(self) -> dict[str, Any]:
        """What is to be changed. Raises InvalidInput where a value is null."""
        given = self.model_dump(exclude_unset=True)
        if None in given.values():
            raise InvalidInput("No property of an embed can be null; leave out those that are to stay.")
        return given


class Overlap(Request):
    overlap_hours: Annotated[float, Field(ge=0, le=24 * 90)] = Field(
        default=OVERLAP_HOURS, description="how long the secret before counts too; 0: not at all"
    )

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=self.overlap_hours)


class IdentitySecretOut(Response):
    secret: str = Field(description="shown this once: for the site's backend, never for a page")


class EmbedOut(Response):
    id: str
    name: str
    knowledge_base: str
    origins: list[str]
    require_identity: bool
    has_identity_secret: bool
    created_at: datetime
    snippet: str = Field(description="what to put into a page of an allowed origin")

    @classmethod
    def of(cls, living: LivingEmbed, own_origin: str) -> Self:
        embed = living.embed
        return cls(
            id=embed.id,
            name=embed.name,
            knowledge_base=living.knowledge_base.slug,
            origins=embed.origins,
            require_identity=embed.require_identity,
            has_identity_secret=embed.identity_salt is not None,
            created_at=embed.created_at,
            snippet=f'<script src="{own_origin}/widget.js" data-embed="{embed.id}" defer></script>',
        )


class TokenRequest(Request):
    token: str | None = Field(
        default=None, max_length=2000, description="an older one, to stay the same visitor"
    )
    identity: str | None = Field(
        default=None,
        max_length=4000,
        description="who the visitor is to the site: a JWT that its backend signs with the embed's identity secret",
    )


class TokenOut(Response):
    token: str
    expires_in: int
    name: str
    knowledge_base: str
