"""API keys: made, checked, revoked. A key is shown once; what is kept is its prefix and an HMAC."""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta

from rag_service.auth.principal import Principal
from rag_service.db.engine import Database
from rag_service.db.models import ApiKey, KeyRole
from rag_service.db.repositories.keys import Keys
from rag_service.errors import Unauthenticated
from rag_service.private_files import write_private
from rag_service.settings import Settings

USE_NOTED_EVERY = timedelta(minutes=1)
"""A busy key is not to be a row that is written all the time."""

_FORM = re.compile(r"(rag_(?:admin|chat)_[0-9a-f]{12})_[0-9A-Za-z_-]{43}")


class KeyService:
    """Checks credentials against the database."""

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._secret = secret.encode()

    async def create(self, name: str, role: KeyRole) -> tuple[ApiKey, str]:
        """A new key and its full text, which cannot be had again."""
        async with self._database.transaction() as session:
            return await self._add(Keys(session), name, role)

    async def _add(self, keys: Keys, name: str, role: KeyRole) -> tuple[ApiKey, str]:
        prefix = f"rag_{role}_{secrets.token_hex(6)}"
        text = f"{prefix}_{secrets.token_urlsafe(32)}"
        return await keys.add(name, role, prefix, self._mac(text)), text

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
        async with self._database.reading() as session:
            found = await Keys(session).by_prefix(form.group(1))
        if found is None or not hmac.compare_digest(found.mac, self._mac(key.strip())):
            raise Unauthenticated("This API key is not known, or was revoked.")
        if found.last_used_at is None or datetime.now(UTC) - found.last_used_at > USE_NOTED_EVERY:
            async with self._database.transaction() as session:
                await Keys(session).touch(found.id)
        return Principal(subject=f"key:{found.id}", role=found.role)

    async def all(self) -> list[ApiKey]:
        async with self._database.transaction() as session:
            return await Keys(session).all()

    async def revoke(self, prefix: str) -> ApiKey:
        """Raises NotFound where no living key has that prefix."""
        async with self._database.transaction() as session:
            return await Keys(session).revoke(prefix)

    async def ensure_admin(self, settings: Settings) -> None:
        """See to it that there is an admin key: the first is written to the state folder, mode 0600."""
        async with self._database.transaction() as session:
            keys = Keys(session)
            if await keys.has_admin():
                return
            _, text = await self._add(keys, "first admin key", "admin")
            # Before the commit: a key that nobody has is worse than a file whose key does not work yet.
            write_private(settings.admin_key_file, text + "\n")
