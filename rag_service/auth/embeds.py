"""Visitors of a page: an embed's public id and an allowed origin yield a short-lived token."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt

from rag_service.auth.principal import Principal
from rag_service.db.engine import Database
from rag_service.db.models import Embed
from rag_service.db.repositories.embeds import Embeds, LivingEmbed
from rag_service.db.repositories.idempotency import Answer, Once
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import Forbidden, InvalidInput, NotFound, Unauthenticated

HOME = "home"
"""The embed of the server's own chat page: for the origin that the server itself is reached at."""

TOKEN_SECONDS = 900
KEEP_SECONDS = 24 * 3600
"""How long after its end a token still proves which visitor asks for the next one."""

_AUDIENCE = "visitor"


@dataclass(frozen=True)
class VisitorToken:
    """A token, the seconds it lives, and the embed it is for."""

    token: str
    expires_in: int
    living: LivingEmbed


class EmbedService:
    """Embeds and the tokens of their visitors."""

    def __init__(self, database: Database, secret: str, *, home: bool) -> None:
        self._database = database
        self._home = home
        # A key of its own: a token of a visitor can never pass for anything else that is signed.
        self._secret = f"visitor-token:{secret}"

    async def create(
        self,
        name: str,
        knowledge_base: str,
        origins: list[str],
        *,
        once: Once,
        tell: Callable[[LivingEmbed], Answer],
    ) -> Answer:
        """A new embed; what `tell` makes of it.

        Raises:
            NotFound: no such knowledge base.
            InvalidInput: an origin is none, or the request's key came with another request before.
        """
        cleaned = [clean_origin(origin) for origin in origins]
        async with self._database.transaction() as session:
            found = await KnowledgeBases(session).by_slug(knowledge_base)

            async def create() -> Answer:
                embed_id = f"emb_{secrets.token_urlsafe(12)}"
                return tell(LivingEmbed(await Embeds(session).add(embed_id, name, found, cleaned), found))

            said = json.dumps(["embed", name, str(found.id), cleaned])
            return await once.answer(session, said, create)

    async def all(self) -> list[LivingEmbed]:
        async with self._database.transaction() as session:
            return await Embeds(session).all()

    async def revoke(self, embed_id: str) -> None:
        """Raises NotFound. Its tokens are refused from the next request on."""
        async with self._database.transaction() as session:
            await Embeds(session).revoke(embed_id)

    async def allows(self, origin: str) -> bool:
        """Whether any embed is for pages of this origin."""
        async with self._database.transaction() as session:
            return await Embeds(session).allows(origin)

    async def token(
        self, embed_id: str, *, origin: str | None, own_origin: str, old: str | None
    ) -> VisitorToken:
        """A token for a page of `origin`. With an `old` one of this embed, the visitor stays the same.

        Raises:
            NotFound: no such embed.
            Forbidden: it is not for this origin.
        """
        living = await self._living(embed_id)
        if not _allowed(living.embed, origin, own_origin):
            raise Forbidden(
                f"This chat is not set up for pages of {origin or 'an unknown origin'}. An administrator can add the "
                "origin to the embed.",
                code="origin_not_allowed",
            )
        visitor = self._visitor(old, embed_id) or secrets.token_urlsafe(16)
        claims = {
            "aud": _AUDIENCE,
            "sub": visitor,
            "embed": embed_id,
            "exp": int(time.time()) + TOKEN_SECONDS,
        }
        return VisitorToken(jwt.encode(claims, self._secret, algorithm="HS256"), TOKEN_SECONDS, living)

    async def authenticate(self, token: str, *, origin: str | None, own_origin: str) -> Principal:
        """The visitor of a token.

        Raises:
            Unauthenticated: it is not valid, has ended, its embed was revoked, or the page is of another origin.
        """
        claims = self._claims(token, leeway=0)
        if claims is None:
            raise Unauthenticated("The visitor token is not valid, or has ended; ask for a new one.")
        closed = Unauthenticated("The chat this token was for was closed, or is not for this page.")
        try:
            living = await self._living(claims["embed"])
        except NotFound:
            raise closed from None
        # A page's own GETs carry no Origin; where there is one, it must be allowed.
        if origin is not None and not _allowed(living.embed, origin, own_origin):
            raise closed
        return Principal(f"visitor:{claims['sub']}", "visitor", living.knowledge_base.slug)

    async def _living(self, embed_id: str) -> LivingEmbed:
        if embed_id == HOME and not self._home:
            raise NotFound("The chat page is switched off here (RAG_HOME_CHAT).", code="embed_not_found")
        async with self._database.transaction() as session:
            return await Embeds(session).get(embed_id)

    def _visitor(self, old: str | None, embed_id: str) -> str | None:
        claims = self._claims(old, leeway=KEEP_SECONDS) if old else None
        return str(claims["sub"]) if claims and claims["embed"] == embed_id else None

    def _claims(self, token: str, *, leeway: int) -> dict[str, Any] | None:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                leeway=leeway,
                options={"require": ["exp", "sub", "embed"]},
            )
        except jwt.InvalidTokenError:
            return None
        return claims


def _allowed(embed: Embed, origin: str | None, own_origin: str) -> bool:
    if embed.id == HOME:
        return origin in (None, own_origin)
    return origin is not None and origin in embed.origins


def clean_origin(raw: str) -> str:
    """An origin as browsers send it: scheme, host, and the port where it is not the scheme's own.

    Raises:
        InvalidInput: it is no http or https origin.
    """
    wrong = InvalidInput(f"{raw!r} is no origin; it looks like https://www.example.org, without a path.")
    try:
        parts = urlsplit(raw.strip().lower())
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "\x00" in raw or parts.username:
        raise wrong
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidInput(
            f"{raw!r} has a path; an origin ends behind the host, as in https://www.example.org."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != standard else "")
