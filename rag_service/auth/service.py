"""API keys: made, checked, changed, revoked. A key is shown once; what is kept is its prefix and an HMAC."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.auth.principal import Credential, Principal
from rag_service.db.caller import Scope
from rag_service.db.engine import Database
from rag_service.db.models import ApiKey, KeyRole
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.keys import Keys, LivingKey, look_up
from rag_service.errors import InvalidInput, Unauthenticated
from rag_service.private_files import write_private
from rag_service.settings import Settings

_FORM = re.compile(r"(rag_(?:admin|evaluator|chat)_[0-9a-f]{12})_[0-9A-Za-z_-]{43}")

USE_NOTED_EVERY = timedelta(minutes=1)
"""A busy key is not to be a row that is written all the time."""

OVERLAP_HOURS = 24
"""How long a key's old secret proves it too after a rotation, unless told otherwise."""


@dataclass(frozen=True)
class Described:
    """A key with what the knowledge bases of its scope are called; none: it is for all."""

    key: ApiKey
    knowledge_bases: list[str]


class KeyService:
    """Checks credentials against the database, and keeps them."""

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._secret = secret.encode()

    async def create(
        self,
        name: str,
        role: KeyRole,
        *,
        knowledge_bases: Sequence[str] = (),
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its full text, which cannot be had again.

        Raises:
            NotFound: no such knowledge base.
            InvalidInput: an admin key with a scope, or an end that has passed.
        """
        _check_end(expires_at)
        _check_scope(role, knowledge_bases)
        async with self._database.transaction() as session:
            scope = await Keys(session).scope_of(knowledge_bases)
            key, text = await self._add(Keys(session), name, role, scope, expires_at)
            await record(session, "key.created", key.id, role=role, **_limits(key))
        return key, text

    async def _add(
        self,
        keys: Keys,
        name: str,
        role: KeyRole,
        scope: Sequence[UUID] = (),
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        prefix = f"rag_{role}_{secrets.token_hex(6)}"
        text = _secret_of(prefix)
        return await keys.add(name, role, prefix, self._mac(text), scope=scope, expires_at=expires_at), text

    def _mac(self, key: str) -> bytes:
        return hmac.digest(self._secret, key.encode(), hashlib.sha256)

    async def authenticate(self, authorization: str | None) -> Principal:
        """The principal of an `Authorization` header.

        Raises:
            Unauthenticated: there is none, or it is no living key.
        """
        scheme, _, key = (authorization or "").partition(" ")
        form = _FORM.fullmatch(key.strip())
        if scheme.lower() != "bearer" or form is None:
            raise Unauthenticated("Send an API key as `Authorization: Bearer rag_…`.")
        mac, now = self._mac(key.strip()), datetime.now(UTC)
        found = await look_up(self._database, form.group(1))
        if found is None or not _proves(found, mac, now):
            raise Unauthenticated("This API key is not known, or was revoked.")
        if _has_ended(found, now):
            raise Unauthenticated(
                f"This API key ended at {found.expires_at:%Y-%m-%d %H:%M} UTC. An administrator can give it another "
                "end, or make a new one.",
                code="key_expired",
            )
        if found.last_used_at is None or now - found.last_used_at > USE_NOTED_EVERY:
            async with self._database.transaction() as session:
                await Keys(session).touch(found.id)
        scope: Scope = frozenset(found.scope) if found.scope else None
        credential = Credential(str(found.id), mac, found.prefix, found.name)
        return Principal(f"key:{found.id}", found.role, scope, credential)

    async def still_valid(self, principal: Principal) -> bool:
        """Whether the key that proved a principal would prove it now: not revoked, ended or given another secret."""
        found = await look_up(self._database, UUID(principal.credential.id))
        now = datetime.now(UTC)
        return (
            found is not None and _proves(found, principal.credential.mac, now) and not _has_ended(found, now)
        )

    async def all(self) -> list[Described]:
        """Every key, in the order they were made."""
        async with self._database.transaction() as session:
            return await _described(session, await Keys(session).all())

    async def page(self, *, before: UUID | None, limit: int) -> list[Described]:
        """Keys, the newest first; revoked ones too."""
        async with self._database.transaction() as session:
            keys = await Keys(session).page(before=before, limit=limit)
            return await _described(session, keys)

    async def describe(self, key: ApiKey) -> Described:
        async with self._database.transaction() as session:
            return (await _described(session, [key]))[0]

    async def change(self, key_id: UUID, changes: Mapping[str, Any]) -> Described:
        """Give a key another `name`, other `knowledge_bases` or another `expires_at`: it holds from the next request
        on. What is not among `changes` stays.

        Raises:
            NotFound: no living key has that id, or there is no such knowledge base.
            InvalidInput: an admin key with a scope, or an end that has passed.
            Conflict: it is the last admin key without an end.
        """
        async with self._database.transaction() as session:
            keys = Keys(session)
            key = await keys.locked(key_id, with_admins="expires_at" in changes)
            if "name" in changes:
                key.name = changes["name"]
            if "knowledge_bases" in changes:
                _check_scope(key.role, changes["knowledge_bases"])
                key.scope = await keys.scope_of(changes["knowledge_bases"])
            if "expires_at" in changes:
                _check_end(changes["expires_at"])
                if changes["expires_at"] is not None:
                    await keys.refuse_if_last_admin(key)
                key.expires_at = changes["expires_at"]
            await record(session, "key.changed", key.id, changed=sorted(changes), **_limits(key))
            return (await _described(session, [key]))[0]

    async def rotate(self, which: UUID | str, *, overlap: timedelta) -> tuple[ApiKey, str]:
        """Give the key of that id or prefix a new secret; the old one proves it too for the time of `overlap`, and one
        before that no more. Whose conversations are whose does not change.

        Raises:
            NotFound: there is no such living key.
        """
        async with self._database.transaction() as session:
            key = await Keys(session).locked(which)
            text = _secret_of(key.prefix)
            key.previous_mac = key.mac if overlap else None
            key.previous_until = datetime.now(UTC) + overlap if overlap else None
            key.mac = self._mac(text)
            await record(session, "key.rotated", key.id, overlap_hours=overlap / timedelta(hours=1))
        return key, text

    async def revoke(self, which: UUID | str) -> ApiKey:
        """End the key of that id or prefix.

        Raises:
            NotFound: there is no such living key.
            Conflict: it is the last admin key.
        """
        async with self._database.transaction() as session:
            key = await Keys(session).locked(which, with_admins=True)
            await Keys(session).revoke(key)
            await record(session, "key.revoked", key.id, role=key.role)
        return key

    async def ensure_admin(self, settings: Settings) -> None:
        """See to it that there is an admin key: the first is written to the state folder, mode 0600."""
        async with self._database.transaction() as session:
            keys = Keys(session)
            if await keys.has_admin():
                return
            _, text = await self._add(keys, "first admin key", "admin")
            # Before the commit: a key that nobody has is worse than a file whose key does not work yet.
            write_private(settings.admin_key_file, text + "\n")


def _secret_of(prefix: str) -> str:
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def _proves(key: LivingKey, mac: bytes, now: datetime) -> bool:
    """Whether it is the MAC of the key's secret, or of the one before while that still counts."""
    if hmac.compare_digest(key.mac, mac):
        return True
    overlaps = key.previous_mac is not None and key.previous_until is not None and now < key.previous_until
    return overlaps and hmac.compare_digest(key.previous_mac or b"", mac)


def _has_ended(key: LivingKey, now: datetime) -> bool:
    return key.expires_at is not None and key.expires_at <= now


def _check_end(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at has passed already. To end a key at once, revoke it.")


def _check_scope(role: KeyRole, knowledge_bases: Sequence[str]) -> None:
    if role == "admin" and knowledge_bases:
        raise InvalidInput("An admin key is for all knowledge bases: it cannot be given a scope.")


def _limits(key: ApiKey) -> dict[str, Any]:
    return {
        "prefix": key.prefix,
        "scope": [str(one) for one in key.scope],
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }


async def _described(session: AsyncSession, keys: Sequence[ApiKey]) -> list[Described]:
    names = await Keys(session).names_of(keys)
    return [Described(key, sorted(names[one] for one in key.scope)) for key in keys]
