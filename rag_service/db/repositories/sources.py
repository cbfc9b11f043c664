"""Queries on documents that something keeps up to date: a folder, a URL."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, DocumentVersion
from rag_service.db.repositories.documents import Accepted
from rag_service.errors import Conflict


class Sources:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def documents(self, knowledge_base_id: UUID, source: str) -> list[tuple[UUID, str]]:
        """The documents of a source with their names, by name."""
        rows = await self._session.execute(
            select(Document.id, Document.name)
            .where(
                Document.knowledge_base_id == knowledge_base_id,
                Document.source == source,
                Document.deleted_at.is_(None),
            )
            .order_by(Document.name)
        )
        return [(row[0], row[1]) for row in rows]

    async def urls(self, knowledge_base_id: UUID, source: str) -> list[tuple[UUID, str]]:
        """The documents of a source with the URLs they came from."""
        rows = await self._session.execute(
            select(Document.id, Document.attributes["url"].astext).where(
                Document.knowledge_base_id == knowledge_base_id,
                Document.source == source,
                Document.deleted_at.is_(None),
            )
        )
        return [(row[0], row[1] or "") for row in rows]

    async def by_url(self, knowledge_base_id: UUID, source: str, url: str) -> str | None:
        """The name of a source's document that came from that URL."""
        return await self._session.scalar(
            select(Document.name)
            .where(
                Document.knowledge_base_id == knowledge_base_id,
                Document.source == source,
                Document.attributes["url"].astext == url,
                Document.deleted_at.is_(None),
            )
            .limit(1)
        )

    async def latest(
        self, knowledge_base_id: UUID, names: Sequence[str]
    ) -> dict[str, tuple[str | None, str]]:
        """For each of these documents its source, and the SHA-256 of its newest version that can be or was read."""
        rows = await self._session.execute(
            select(Document.name, Document.source, DocumentVersion.sha256)
            .join(DocumentVersion, DocumentVersion.document_id == Document.id)
            .where(
                Document.knowledge_base_id == knowledge_base_id,
                Document.name.in_(names),
                Document.deleted_at.is_(None),
                DocumentVersion.state != "failed",
            )
            .order_by(DocumentVersion.number)
        )
        return {name: (source, sha256) for name, source, sha256 in rows}


def claim(accepted: Accepted, source: str) -> None:
    """Mark what was just accepted as kept up to date by `source`, if it is new.

    One that came by hand stays so: what removes the source's documents never removes it.

    Raises:
        Conflict: another source keeps it up to date.
    """
    document = accepted.document
    if accepted.outcome == "added":
        document.source = source
    check_owner(document.source, source)


def check_owner(found: str | None, source: str) -> None:
    """Raises Conflict where another source keeps the document up to date."""
    if found not in (None, source):
        raise Conflict(f"A document of this name is kept up to date by {found}.", code="other_source")
