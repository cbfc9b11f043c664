"""Shapes of embeds and visitor tokens."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from rag_service.api.schemas.base import Name, Request, Response, Slug
from rag_service.db.repositories.embeds import LivingEmbed

EmbedId = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,64}$")]
Origin = Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=300)]


class EmbedRequest(Request):
    name: Name
    knowledge_base: Slug = "default"
    origins: list[Origin] = Field(
        default_factory=list, max_length=50, description="such as https://www.example.org"
    )


class EmbedOut(Response):
    id: str
    name: str
    knowledge_base: str
    origins: list[str]
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
            created_at=embed.created_at,
            snippet=f'<script src="{own_origin}/widget.js" data-embed="{embed.id}" defer></script>',
        )


class TokenRequest(Request):
    token: str | None = Field(
        default=None, max_length=2000, description="an older one, to stay the same visitor"
    )


class TokenOut(Response):
    token: str
    expires_in: int
    name: str
    knowledge_base: str
