"""Queries on API keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.engine import Database
from rag_service.db.models import ApiKey, KeyRole, KnowledgeBase, new_id
from rag_service.db.plain import PlainQuery
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import Conflict, NotFound

# One with an end does not count: it would leave nobody to make the next.
_IS_LASTING_ADMIN = (ApiKey.role == "admin") & ApiKey.revoked_at.is_(None) & ApiKey.expires_at.is_(None)


class LivingKey(NamedTuple):
    """What proves a key, and what it may do (see `models.ApiKey`)."""

    id: UUID
    prefix: str
    name: str
    role: KeyRole
    scope: Sequence[UUID]
    mac: bytes
    previous_mac: bytes | None
    previous_until: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None


_LIVING = select(*(getattr(ApiKey, name) for name in LivingKey._fields)).where(ApiKey.revoked_at.is_(None))
_BY_PREFIX = PlainQuery(_LIVING.where(ApiKey.prefix == bindparam("prefix")))
_BY_ID = PlainQuery(_LIVING.where(ApiKey.id == bindparam("id", type_=Uuid)))


async def look_up(database: Database, which: UUID | str) -> LivingKey | None:
    """The key of that id or prefix, unless it was revoked. Raises DatabaseUnavailable."""
    if isinstance(which, UUID):
        rows = await database.rows(_BY_ID, id=which)
    else:
        rows = await database.rows(_BY_PREFIX, prefix=which)
    return LivingKey(*rows[0]) if rows else None


class Keys:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        name: str,
        role: KeyRole,
        prefix: str,
        mac: bytes,
        *,
        scope: Sequence[UUID] = (),
        expires_at: datetime | None = None,
    ) -> ApiKey:
        key = ApiKey(
            id=new_id(),
            name=name,
            role=role,
            prefix=prefix,
            mac=mac,
            scope=list(scope),
            expires_at=expires_at,
        )
        self._session.add(key)
        await self._session.flush()
        return key

    async def locked(self, which: UUID | str, *, with_admins: bool = False) -> ApiKey:
        """The key of that id or prefix, which nobody else changes until the transaction ends; `with_admins` nor any of
        the admin keys that last, in one order: two that revoke each other's take turns.

        Raises:
            NotFound: there is none, or it was revoked.
        """
        is_it = ApiKey.id == which if isinstance(which, UUID) else ApiKey.prefix == which
        wanted = is_it | _IS_LASTING_ADMIN if with_admins else is_it
        keys = await self._session.scalars(
            select(ApiKey).where(wanted, ApiKey.revoked_at.is_(None)).order_by(ApiKey.id).with_for_update()
        )
        for key in keys:
            if which in (key.id, key.prefix):
                return key
        raise NotFound(f"There is no living key {str(which)!r}.", code="key_not_found")

    async def touch(self, key_id: UUID) -> None:
        """Note that a key was used now."""
        await self._session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))

    async def all(self) -> list[ApiKey]:
        return list(await self._session.scalars(select(ApiKey).order_by(ApiKey.id)))

    async def page(self, *, before: UUID | None, limit: int) -> list[ApiKey]:
        """Keys, the newest first; revoked ones too."""
        statement = select(ApiKey).order_by(ApiKey.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(ApiKey.id < before)
        return list(await self._session.scalars(statement))

    async def scope_of(self, slugs: Sequence[str]) -> list[UUID]:
        """The ids of knowledge bases, kept in place of the slugs: another one may have the slug later.

        Raises:
            NotFound: there is no such knowledge base.
        """
        return [(await KnowledgeBases(self._session).by_slug(slug)).id for slug in dict.fromkeys(slugs)]

    async def names_of(self, keys: Sequence[ApiKey]) -> dict[UUID, str]:
        """What to call the knowledge bases of scopes: by slug, or, those that were deleted, by id."""
        ids = {knowledge_base_id for key in keys for knowledge_base_id in key.scope}
        rows = await self._session.execute(
            select(KnowledgeBase.id, KnowledgeBase.slug).where(
                KnowledgeBase.id.in_(ids), KnowledgeBase.deleted_at.is_(None)
            )
        )
        return {one: str(one) for one in ids} | {row[0]: row[1] for row in rows}

    async def revoke(self, key: ApiKey) -> None:
        """Raises Conflict where it is the last admin key."""
        await self.refuse_if_last_admin(key)
        key.revoked_at = await self._session.scalar(select(func.now()))

    async def refuse_if_last_admin(self, key: ApiKey) -> None:
        """Raises Conflict where without this key, `locked` with the admins', no admin key would be left that lasts."""
        lasting = await self._session.scalars(select(ApiKey.id).where(_IS_LASTING_ADMIN))
        if key.role == "admin" and not set(lasting) - {key.id}:
            raise Conflict(
                "This is the last admin key without an end: nobody could make another. Make one first, with "
                "POST /api/v1/keys or `rag keys create NAME --role admin`.",
                code="last_admin_key",
            )

    async def has_admin(self) -> bool:
        """Whether an admin key exists that lasts. Takes a lock, so that two processes do not both make the first."""
        await self._session.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))
        return await self._session.scalar(select(ApiKey.id).where(_IS_LASTING_ADMIN).limit(1)) is not None
