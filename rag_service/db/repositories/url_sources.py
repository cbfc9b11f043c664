"""Queries on pages and sitemaps that are kept up to date."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, KnowledgeBase, UrlSource, new_id
from rag_service.errors import Conflict, NotFound


class LostSource(Conflict):
    """Another worker fetches it now, or it was removed; what this one did must not count."""

    code = "lost_source"


def source_of(url_source_id: UUID) -> str:
    """What its documents name as their source."""
    return f"url:{url_source_id}"


class UrlSources:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        knowledge_base_id: UUID,
        url: str,
        kind: Literal["page", "sitemap"],
        refresh_seconds: int | None,
    ) -> UrlSource:
        """A new source, due at once. Raises Conflict where the knowledge base has it already."""
        made: UrlSource | None = await self._session.scalar(
            insert(UrlSource)
            .values(
                id=new_id(),
                knowledge_base_id=knowledge_base_id,
                url=url,
                kind=kind,
                refresh_seconds=refresh_seconds,
                next_at=func.now(),
            )
            .on_conflict_do_nothing()
            .returning(UrlSource)
        )
        if made is None:
            raise Conflict("This knowledge base has that URL already.", code="url_exists")
        return made

    async def page(self, knowledge_base_id: UUID, *, after: UUID | None, limit: int) -> list[UrlSource]:
        """Sources in the order they were added."""
        statement = (
            select(UrlSource)
            .where(UrlSource.knowledge_base_id == knowledge_base_id)
            .order_by(UrlSource.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(UrlSource.id > after)
        return list(await self._session.scalars(statement))

    async def remove(self, url_source_id: UUID) -> tuple[UUID, list[UUID]]:
        """Forget a source. Its documents stay, as if uploaded by hand; returned are its knowledge base's id and
        theirs. Raises NotFound."""
        removed = await self._session.scalar(
            delete(UrlSource).where(UrlSource.id == url_source_id).returning(UrlSource.knowledge_base_id)
        )
        if removed is None:
            raise NotFound("There is no such URL.", code="url_not_found")
        documents = await self._session.scalars(
            update(Document)
            .where(Document.source == source_of(url_source_id), Document.deleted_at.is_(None))
            .values(source=None)
            .returning(Document.id)
        )
        return removed, list(documents)

    async def claim(self, *, lease: timedelta) -> tuple[UrlSource, KnowledgeBase] | None:
        """Take the source that has been due longest, with its knowledge base; workers get different ones."""
        now = func.now()
        chosen = (
            select(UrlSource.id)
            .join(KnowledgeBase, KnowledgeBase.id == UrlSource.knowledge_base_id)
            .where(
                UrlSource.next_at <= now,
                or_(UrlSource.lease_until.is_(None), UrlSource.lease_until < now),
                KnowledgeBase.deleted_at.is_(None),
            )
            .order_by(UrlSource.next_at)
            .limit(1)
            .with_for_update(of=UrlSource, skip_locked=True)
        ).scalar_subquery()
        source = await self._session.scalar(
            update(UrlSource)
            .where(UrlSource.id == chosen)
            .values(lease_until=now + lease)
            .returning(UrlSource)
        )
        if source is None:
            return None
        base = await self._session.get(KnowledgeBase, source.knowledge_base_id)
        return (source, base) if base else None

    async def hold(self, source: UrlSource, *, lease: timedelta) -> None:
        """Renew the lease. The row is held until the transaction ends. Raises LostSource."""
        source.lease_until = await self._owned(source, lease_until=func.now() + lease)

    async def finish(
        self,
        source: UrlSource,
        *,
        next_at: datetime | None,
        fetched: bool,
        etag: str | None = None,
        last_modified: str | None = None,
        code: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Write down how a fetch went, and when the next is due. Raises LostSource."""
        values: dict[str, object] = {"error_code": code, "error_detail": detail, "next_at": next_at}
        if fetched:
            values |= {"fetched_at": func.now(), "etag": etag, "last_modified": last_modified}
        await self._owned(source, lease_until=None, **values)

    async def _owned(self, source: UrlSource, **values: object) -> datetime | None:
        row = (
            await self._session.execute(
                update(UrlSource)
                .where(UrlSource.id == source.id, UrlSource.lease_until == source.lease_until)
                .values(**values)
                .returning(UrlSource.lease_until)
                .execution_options(synchronize_session=False)
            )
        ).first()
        if row is None:
            raise LostSource("This source is no longer this worker's.")
        renewed: datetime | None = row[0]
        return renewed
