"""Queries that remove what is left of deleted documents."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rag_service.db.models import Chunk, Document, DocumentVersion, Embedding, Job, KnowledgeBase
from rag_service.db.repositories.quotes import Quotes


@dataclass(frozen=True)
class Erasable:
    """What is left of a deleted document, or of one whose knowledge base was deleted. Its vectors are in the
    collections of that one's models; `blobs` are its alone."""

    document_id: UUID
    knowledge_base: KnowledgeBase
    versions: list[DocumentVersion]
    blobs: list[str]


class Erasures:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def next(self) -> Erasable | None:
        """A document, deleted itself or with its knowledge base, that still has traces.

        Workers that ask at the same moment get different ones.

        One that was being read when it was deleted is left until the lease of that job has run out:
        its worker may still be writing.
        """
        # Apart: each is found by an index, and the second is seldom, an upload beside the deletion of all.
        row = await self._next(Document.deleted_at.is_not(None)) or await self._next(
            KnowledgeBase.deleted_at.is_not(None)
        )
        if row is None:
            return None
        versions = list(
            await self._session.scalars(
                select(DocumentVersion).where(DocumentVersion.document_id == row[0].id)
            )
        )
        blobs = await self._blobs_of(row[0].id)
        return Erasable(row[0].id, row[1], versions, blobs)

    async def _next(self, is_deleted: ColumnElement[bool]) -> tuple[Document, KnowledgeBase] | None:
        found = await self._session.execute(
            select(Document, KnowledgeBase)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(
                is_deleted,
                ~exists().where(Job.document_id == Document.id, Job.lease_until > func.now()),
            )
            .order_by(Document.deleted_at)
            .limit(1)
            .with_for_update(of=Document, skip_locked=True)
        )
        row = found.first()
        return (row[0], row[1]) if row else None

    async def _blobs_of(self, document_id: UUID) -> list[str]:
        """The original files of a document that no version of another one has."""
        others = aliased(DocumentVersion)
        names = await self._session.scalars(
            select(DocumentVersion.blob)
            .where(
                DocumentVersion.document_id == document_id,
                ~exists().where(others.blob == DocumentVersion.blob, others.document_id != document_id),
            )
            .distinct()
        )
        return list(names)

    async def erase(self, document_id: UUID, *, keep_quotes: bool = False) -> None:
        """Remove every row of a document, the embeddings that no other chunk shares, and, unless told to keep them,
        what stored answers quote of it."""
        if not keep_quotes:
            await Quotes(self._session).forget(document_id)
        theirs = (
            select(Chunk.content_hash)
            .join(DocumentVersion, DocumentVersion.id == Chunk.version_id)
            .where(DocumentVersion.document_id == document_id)
            .distinct()
        )
        hashes = list(await self._session.scalars(theirs))
        await self._session.execute(delete(Document).where(Document.id == document_id))
        for start in range(0, len(hashes), 5000):
            await self._session.execute(
                delete(Embedding).where(
                    Embedding.content_hash.in_(hashes[start : start + 5000]),
                    ~exists().where(Chunk.content_hash == Embedding.content_hash),
                )
            )
