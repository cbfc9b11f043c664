"""Visitors of a page: an embed's public id and an allowed origin yield a short-lived token; a token of the site's
backend, whose it is."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt

from rag_service.auth.identities import Identities
from rag_service.auth.principal import Credential, Principal
from rag_service.db.engine import Database
from rag_service.db.models import Embed
from rag_service.db.repositories.audit import record
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
        self._identities = Identities(secret)

    async def create(
        self,
        name: str,
        knowledge_base: str,
        origins: list[str],
        *,
        require_identity: bool = False,
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
                embed = await Embeds(session).add(
                    embed_id, name, found, cleaned, require_identity=require_identity
                )
                await record(session, "embed.created", embed_id, knowledge_base_id=found.id, origins=cleaned)
                return tell(LivingEmbed(embed, found))

            said = json.dumps(["embed", name, str(found.id), cleaned, require_identity])
            return await once.answer(session, said, create)

    async def all(self) -> list[LivingEmbed]:
        async with self._database.transaction() as session:
            return await Embeds(session).all()

    async def change(self, embed_id: str, changes: Mapping[str, Any]) -> LivingEmbed:
        """Give an embed another `name`, other `origins`, or another `require_identity`; what is not among `changes`
        stays.

        Raises:
            NotFound: there is no such embed.
            InvalidInput: an origin is none.
        """
        async with self._database.transaction() as session:
            living = await Embeds(session).get(embed_id, locked=True)
            for column, value in changes.items():
                cleaned = [clean_origin(one) for one in value] if column == "origins" else value
                setattr(living.embed, column, cleaned)
            await record(
                session,
                "embed.changed",
                embed_id,
                knowledge_base_id=living.knowledge_base.id,
                changed=sorted(changes),
                origins=living.embed.origins,
                require_identity=living.embed.require_identity,
            )
        return living

    async def new_identity_secret(self, embed_id: str, *, overlap: timedelta) -> str:
        """A secret for the site's backend to sign its users' identities with; the one before counts for the time of
        `overlap` too.

        Raises:
            NotFound: there is no such embed.
        """
        async with self._database.transaction() as session:
            living = await Embeds(session).get(embed_id, locked=True)
            embed, salt = living.embed, secrets.token_urlsafe(32)
            embed.previous_identity_salt = embed.identity_salt if overlap else None
            embed.previous_identity_until = datetime.now(UTC) + overlap if overlap else None
            embed.identity_salt = salt
            await record(
                session,
                "embed.identity_secret_made",
                embed_id,
                knowledge_base_id=living.knowledge_base.id,
                overlap_hours=overlap / timedelta(hours=1),
            )
        return self._identities.secret_of(embed_id, salt)

    async def revoke(self, embed_id: str) -> None:
        """Raises NotFound. Its tokens are refused from the next request on."""
        async with self._database.transaction() as session:
            living = await Embeds(session).get(embed_id)
            await Embeds(session).revoke(embed_id)
            await record(session, "embed.revoked", embed_id, knowledge_base_id=living.knowledge_base.id)

    async def allows(self, origin: str) -> bool:
        """Whether any embed is for pages of this origin."""
        async with self._database.transaction() as session:
            return await Embeds(session).allows(origin)

    async def token(
        self,
        embed_id: str,
        *,
        origin: str | None,
        own_origin: str,
        old: str | None = None,
        identity: str | None = None,
    ) -> VisitorToken:
        """A token for a page of `origin`. With an `identity` of the site's backend the visitor is its user, on every
        device; else, with an `old` token of this embed, the same as before.

        Raises:
            NotFound: no such embed.
            Forbidden: it is not for this origin.
            Unauthenticated: the identity is not valid, or there is none where the embed requires it.
        """
        living = await self._living(embed_id)
        if not _allowed(living.embed, origin, own_origin):
            raise Forbidden(
                f"This chat is not set up for pages of {origin or 'an unknown origin'}. An administrator can add the "
                "origin to the embed.",
                code="origin_not_allowed",
            )
        claims: dict[str, Any] = {
            "aud": _AUDIENCE,
            "embed": embed_id,
            "exp": int(time.time()) + TOKEN_SECONDS,
        }
        if identity is not None:
            claims |= {"sub": self._identities.user(living.embed, identity), "user": True}
        elif living.embed.require_identity:
            raise _who_are_you()
        else:
            claims["sub"] = self._visitor(old, embed_id) or secrets.token_urlsafe(16)
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
        is_user = claims.get("user") is True
        if living.embed.require_identity and not is_user:
            raise _who_are_you()
        subject = f"embed:{living.embed.id}:user:{claims['sub']}" if is_user else f"visitor:{claims['sub']}"
        scope = frozenset({living.knowledge_base.id})
        return Principal(subject, "visitor", scope, Credential(living.embed.id))

    async def still_valid(self, principal: Principal) -> bool:
        """Whether the embed that a visitor came by is still there. That a token ends ends no stream: the page has a
        new one by then."""
        try:
            await self._living(principal.credential.id)
        except NotFound:
            return False
        return True

    async def _living(self, embed_id: str) -> LivingEmbed:
        if embed_id == HOME and not self._home:
            raise NotFound("The chat page is switched off here (RAG_HOME_CHAT).", code="embed_not_found")
        async with self._database.transaction() as session:
            return await Embeds(session).get(embed_id)

    def _visitor(self, old: str | None, embed_id: str) -> str | None:
        """The visitor of an older token, but no user of the site: that one's backend says each time who it is."""
        claims = self._claims(old, leeway=KEEP_SECONDS) if old else None
        if claims is None or claims["embed"] != embed_id or "user" in claims:
            return None
        return str(claims["sub"])

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


def _who_are_you() -> Unauthenticated:
    return Unauthenticated(
        "This chat is for signed-in users of the site: its page hands over an `identity` that its backend signed.",
        code="identity_required",
    )


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
