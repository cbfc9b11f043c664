"""Queries on knowledge bases."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.caller import caller
from rag_service.db.engine import Database
from rag_service.db.models import Document, KnowledgeBase, new_id
from rag_service.db.plain import PlainQuery
from rag_service.errors import Conflict, NotFound


def no_such(slug: str) -> NotFound:
    """What is said of a knowledge base that does not exist, or is not for the caller."""
    return NotFound(
        f"There is no knowledge base called {slug!r}. GET /api/v1/knowledge-bases lists those that exist.",
        code="knowledge_base_not_found",
    )


_BY_SLUG = select(KnowledgeBase).where(
    KnowledgeBase.slug == bindparam("slug"), KnowledgeBase.deleted_at.is_(None)
)

_PLAIN_BY_SLUG = PlainQuery(_BY_SLUG)
_PLAIN_BY_ID = PlainQuery(
    select(KnowledgeBase).where(
        KnowledgeBase.id == bindparam("id", type_=Uuid), KnowledgeBase.deleted_at.is_(None)
    )
)


async def look_up(database: Database, which: UUID | str) -> KnowledgeBase | None:
    """The knowledge base of that id or slug, to be read alone; None where there is none. Raises DatabaseUnavailable."""
    if isinstance(which, UUID):
        rows = await database.rows(_PLAIN_BY_ID, id=which)
    else:
        rows = await database.rows(_PLAIN_BY_SLUG, slug=which)
    return KnowledgeBase(**rows[0]) if rows else None


async def look_up_asked(database: Database, slug: str | None) -> KnowledgeBase:
    """As `KnowledgeBases.asked`, to be read alone. Raises DatabaseUnavailable too."""
    which = _asked(slug)
    found = await look_up(database, which)
    if found is None:
        raise _deleted() if isinstance(which, UUID) else no_such(which)
    return found


def _asked(slug: str | None) -> UUID | str:
    """The id or slug of the knowledge base that is asked."""
    acting = caller.get()
    if slug is None and acting is not None and acting.scope is not None and len(acting.scope) == 1:
        return next(iter(acting.scope))
    return slug or "default"


def _deleted() -> NotFound:
    return NotFound("The knowledge base was deleted.", code="knowledge_base_not_found")


class KnowledgeBases:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def by_slug(self, slug: str) -> KnowledgeBase:
        """The knowledge base of that name.

        Raises:
            NotFound: there is none.
        """
        found = await self._session.scalar(_BY_SLUG, {"slug": slug})
        if found is None:
            raise no_such(slug)
        return found

    async def asked(self, slug: str | None) -> KnowledgeBase:
        """The knowledge base of that name; where none is named, the only one in the caller's scope, or `default`.

        Raises:
            NotFound: there is none.
        """
        which = _asked(slug)
        return await (self.get(which) if isinstance(which, UUID) else self.by_slug(which))

    async def get(self, knowledge_base_id: UUID) -> KnowledgeBase:
        """Raises NotFound where there is none, or it was deleted."""
        found = await self._session.get(KnowledgeBase, knowledge_base_id)
        if found is None or found.deleted_at is not None:
            raise _deleted()
        return found

    async def create(
        self, slug: str, name: str, embedding_model: str, settings: Mapping[str, Any] | None = None
    ) -> KnowledgeBase:
        """A new, empty knowledge base; `settings` are columns of it.

        Raises:
            Conflict: the slug is taken.
        """
        if not await self._insert(slug, name, embedding_model, settings or {}):
            raise Conflict(f"A knowledge base called {slug!r} exists already.", code="knowledge_base_exists")
        return await self.by_slug(slug)

    async def change(self, slug: str, settings: Mapping[str, Any]) -> KnowledgeBase:
        """Set columns of a knowledge base. Raises NotFound."""
        found = await self.by_slug(slug)
        for column, value in settings.items():
            setattr(found, column, value)
        await self._session.flush()
        return found

    async def lock(self, knowledge_base: KnowledgeBase) -> None:
        """Let no one else who locks it, or deletes it, go on until the transaction ends. Raises NotFound if it was
        deleted."""
        living = await self._session.scalar(
            select(KnowledgeBase.id)
            .where(KnowledgeBase.id == knowledge_base.id, KnowledgeBase.deleted_at.is_(None))
            .with_for_update(key_share=True)
        )
        if living is None:
            raise no_such(knowledge_base.slug)

    async def hide(self, slug: str) -> UUID:
        """Take a knowledge base out of sight; its slug is free again. Returns its id.

        Uploads that are being entered into it end first, and those that come later find it gone.

        Raises:
            NotFound: there is none.
        """
        found = await self.by_slug(slug)
        await self._session.refresh(found, with_for_update=True)
        if found.deleted_at is not None:
            raise no_such(slug)
        found.deleted_at = datetime.now(UTC)
        await self._session.flush()
        return found.id

    async def ensure(self, slug: str, name: str, embedding_model: str) -> KnowledgeBase:
        """The knowledge base of that slug, made where it is missing; two callers at once get the same one."""
        await self._insert(slug, name, embedding_model, {})
        return await self.by_slug(slug)

    async def _insert(self, slug: str, name: str, embedding_model: str, settings: Mapping[str, Any]) -> bool:
        statement = (
            insert(KnowledgeBase)
            .values(id=new_id(), slug=slug, name=name, embedding_model=embedding_model, **settings)
            .on_conflict_do_nothing()
            .returning(KnowledgeBase.id)
        )
        return await self._session.scalar(statement) is not None

    async def next_to_erase(self) -> KnowledgeBase | None:
        """A deleted knowledge base of which no document is left; each worker that asks gets a different one."""
        return await self._session.scalar(
            select(KnowledgeBase)
            .where(
                KnowledgeBase.deleted_at.is_not(None),
                ~exists().where(Document.knowledge_base_id == KnowledgeBase.id),
            )
            .limit(1)
            .with_for_update(skip_locked=True)
        )

    async def erase(self, knowledge_base_id: UUID) -> None:
        """Remove it with all that hangs on it: embeds, conversations."""
        await self._session.execute(delete(KnowledgeBase).where(KnowledgeBase.id == knowledge_base_id))

    async def all_with_counts(self) -> list[tuple[KnowledgeBase, int]]:
        """Every knowledge base with the number of its documents that can be asked, by slug."""
        return await self._with_counts()

    async def with_count(self, slug: str) -> tuple[KnowledgeBase, int]:
        """A knowledge base with the number of its documents that can be asked. Raises NotFound."""
        found = await self._with_counts(KnowledgeBase.slug == slug)
        if not found:
            raise no_such(slug)
        return found[0]

    async def _with_counts(self, *wanted: ColumnElement[bool]) -> list[tuple[KnowledgeBase, int]]:
        rows = await self._session.execute(
            select(KnowledgeBase, func.count(Document.id))
            .outerjoin(
                Document,
                (Document.knowledge_base_id == KnowledgeBase.id)
                & Document.deleted_at.is_(None)
                & Document.active_version_id.is_not(None),
            )
            .where(KnowledgeBase.deleted_at.is_(None), *wanted)
            .group_by(KnowledgeBase.id)
            .order_by(KnowledgeBase.slug)
        )
        return [(row[0], row[1]) for row in rows]
