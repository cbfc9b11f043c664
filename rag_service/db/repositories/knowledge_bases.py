"""Queries on knowledge bases."""

from uuid import UUID

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, KnowledgeBase, new_id
from rag_service.errors import Conflict, NotFound


def no_such(slug: str) -> NotFound:
    """What is said of a knowledge base that does not exist, or is not for the caller."""
    return NotFound(
        f"There is no knowledge base called {slug!r}. GET /api/v1/knowledge-bases lists those that exist.",
        code="knowledge_base_not_found",
    )


class KnowledgeBases:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def by_slug(self, slug: str) -> KnowledgeBase:
        """The knowledge base of that name.

        Raises:
            NotFound: there is none.
        """
        found = await self._session.scalar(
            select(KnowledgeBase).where(KnowledgeBase.slug == slug, KnowledgeBase.deleted_at.is_(None))
        )
        if found is None:
            raise no_such(slug)
        return found

    async def create(self, slug: str, name: str, embedding_model: str) -> KnowledgeBase:
        """A new, empty knowledge base.

        Raises:
            Conflict: the slug is taken.
        """
        if not await self._insert(slug, name, embedding_model):
            raise Conflict(f"A knowledge base called {slug!r} exists already.", code="knowledge_base_exists")
        return await self.by_slug(slug)

    async def ensure(self, slug: str, name: str, embedding_model: str) -> KnowledgeBase:
        """The knowledge base of that slug, made where it is missing; two callers at once get the same one."""
        await self._insert(slug, name, embedding_model)
        return await self.by_slug(slug)

    async def _insert(self, slug: str, name: str, embedding_model: str) -> bool:
        statement = (
            insert(KnowledgeBase)
            .values(id=new_id(), slug=slug, name=name, embedding_model=embedding_model)
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
        rows = await self._session.execute(
            select(KnowledgeBase, func.count(Document.id))
            .outerjoin(
                Document,
                (Document.knowledge_base_id == KnowledgeBase.id)
                & Document.deleted_at.is_(None)
                & Document.active_version_id.is_not(None),
            )
            .where(KnowledgeBase.deleted_at.is_(None))
            .group_by(KnowledgeBase.id)
            .order_by(KnowledgeBase.slug)
        )
        return [(row[0], row[1]) for row in rows]
