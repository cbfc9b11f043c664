"""Queries on API keys."""

from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import ApiKey, KeyRole, new_id
from rag_service.errors import NotFound


class Keys:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, name: str, role: KeyRole, prefix: str, mac: bytes) -> ApiKey:
        key = ApiKey(id=new_id(), name=name, role=role, prefix=prefix, mac=mac)
        self._session.add(key)
        await self._session.flush()
        return key

    async def by_prefix(self, prefix: str) -> ApiKey | None:
        """The key of that prefix, unless it was revoked."""
        return await self._session.scalar(
            select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
        )

    async def touch(self, key_id: UUID) -> None:
        """Note that a key was used now."""
        await self._session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))

    async def all(self) -> list[ApiKey]:
        return list(await self._session.scalars(select(ApiKey).order_by(ApiKey.id)))

    async def revoke(self, prefix: str) -> ApiKey:
        """Raises NotFound where no living key has that prefix."""
        key: ApiKey | None = await self._session.scalar(
            update(ApiKey)
            .where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
            .values(revoked_at=func.now())
            .returning(ApiKey)
        )
        if key is None:
            raise NotFound(f"There is no living key with the prefix {prefix!r}.", code="key_not_found")
        return key

    async def has_admin(self) -> bool:
        """Whether a living admin key exists. Takes a lock, so that two processes do not both make the first."""
        await self._session.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))
        found = await self._session.scalar(
            select(ApiKey.id).where(ApiKey.role == "admin", ApiKey.revoked_at.is_(None)).limit(1)
        )
        return found is not None
