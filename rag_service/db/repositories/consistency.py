"""Queries that compare what PostgreSQL says with what else there is; always by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, text, union
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import (
    Chunk,
    Document,
    DocumentVersion,
    Embedding,
    Job,
    KnowledgeBase,
    StaleVectors,
)
from rag_service.db.repositories.jobs import FINISHED

WORKERS = "rag-worker"
"""What the connections of workers call themselves."""


@dataclass(frozen=True)
class Original:
    """A version whose bytes should be in the blob store."""

    version_id: UUID
    document: str
    knowledge_base: str
    number: int
    blob: str


class Consistency:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def wanted(
        self, knowledge_base_id: UUID, *, after: UUID | None, limit: int, under_way: bool = False
    ) -> list[tuple[UUID, str]]:
        """Active chunks with their content hashes, by id; with `under_way` also what a job is storing."""
        statement = (
            select(Chunk.id, Chunk.content_hash)
            .where(_of(knowledge_base_id, under_way=under_way))
            .order_by(Chunk.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(Chunk.id > after)
        return [(row[0], row[1]) for row in await self._session.execute(statement)]

    async def stale(self, knowledge_base_id: UUID, collection: str, ids: Sequence[UUID]) -> list[UUID]:
        """Those of `ids` that nobody wants and nobody is about to remove."""
        being_erased = (
            select(Chunk.id)
            .join(DocumentVersion, DocumentVersion.id == Chunk.version_id)
            .join(Document, Document.id == DocumentVersion.document_id)
            .where(Chunk.id.in_(ids), Document.deleted_at.is_not(None))
        )
        kept = select(Chunk.id).where(Chunk.id.in_(ids), _of(knowledge_base_id, under_way=True))
        owed = select(func.unnest(StaleVectors.chunk_ids)).where(
            StaleVectors.collection == collection, StaleVectors.chunk_ids.overlap(list(ids))
        )
        known = set(await self._session.scalars(union(kept, being_erased, owed)))
        return [id for id in ids if id not in known]

    async def without_embedding(
        self, knowledge_base_id: UUID, model: str, *, after: UUID | None, limit: int
    ) -> list[Chunk]:
        """Active chunks in order of their ids whose content has no vector under that model."""
        statement = _without_embedding(knowledge_base_id, model).order_by(Chunk.id).limit(limit)
        if after is not None:
            statement = statement.where(Chunk.id > after)
        return list(await self._session.scalars(statement))

    async def count_without_embedding(self, knowledge_base_id: UUID, model: str) -> int:
        statement = _without_embedding(knowledge_base_id, model).with_only_columns(func.count(Chunk.id))
        return await self._session.scalar(statement) or 0

    async def models(
        self, knowledge_base_id: UUID, *, hold: Literal["share", "change"] | None = None
    ) -> KnowledgeBase | None:
        """The knowledge base; None where there is none, or it was deleted.

        `hold` keeps others from changing it until the transaction ends, or also from holding it.
        """
        statement = (
            select(KnowledgeBase)
            .where(KnowledgeBase.id == knowledge_base_id, KnowledgeBase.deleted_at.is_(None))
            .execution_options(populate_existing=True)
        )
        if hold is not None:
            # FOR KEY SHARE: only a change of model or a delete waits for it, not what else is done to the row.
            share = hold == "share"
            statement = statement.with_for_update(read=share, key_share=share)
        return await self._session.scalar(statement)

    async def forget_embeddings(self, model: str) -> None:
        """Remove a model's embeddings, unless a knowledge base still uses it."""
        used = select(KnowledgeBase.id).where(
            or_(KnowledgeBase.embedding_model == model, KnowledgeBase.previous_embedding_model == model),
            KnowledgeBase.deleted_at.is_(None),
        )
        await self._session.execute(delete(Embedding).where(Embedding.model == model, ~used.exists()))

    async def living(self) -> list[KnowledgeBase]:
        """Every knowledge base that was not deleted, by slug."""
        statement = select(KnowledgeBase).where(KnowledgeBase.deleted_at.is_(None))
        return list(await self._session.scalars(statement.order_by(KnowledgeBase.slug)))

    async def collections_to_drop(self) -> set[str]:
        """Collections that a worker is about to drop as a whole."""
        statement = select(StaleVectors.collection).where(StaleVectors.chunk_ids.is_(None))
        return set(await self._session.scalars(statement))

    async def blobs_known(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that a version has."""
        return set(
            await self._session.scalars(select(DocumentVersion.blob).where(DocumentVersion.blob.in_(names)))
        )

    async def originals(self, *, after: UUID | None, limit: int) -> list[Original]:
        """Versions of documents that exist, in order of their ids."""
        statement = (
            select(
                DocumentVersion.id,
                Document.name,
                KnowledgeBase.slug,
                DocumentVersion.number,
                DocumentVersion.blob,
            )
            .join(Document, Document.id == DocumentVersion.document_id)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(Document.deleted_at.is_(None), KnowledgeBase.deleted_at.is_(None))
            .order_by(DocumentVersion.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(DocumentVersion.id > after)
        return [Original(*row) for row in await self._session.execute(statement)]

    async def workers(self) -> bool:
        """Whether a worker is connected to this database, or holds a job's lease."""
        connected = text(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE :name || '%')"
        )
        if await self._session.scalar(connected, {"name": WORKERS}):
            return True
        leased = select(select(Job.id).where(Job.lease_until > func.now()).exists())
        return bool(await self._session.scalar(leased))

    async def abandoned(self, *, since: timedelta) -> list[UUID]:
        """Jobs under way whose lease ran out that long ago: whoever did them is gone, and nobody took over."""
        statement = select(Job.id).where(
            Job.state.not_in([*FINISHED, "queued"]),
            or_(Job.lease_until.is_(None), Job.lease_until < func.now() - since),
        )
        return list(await self._session.scalars(statement.order_by(Job.id)))

    async def waiting(self, *, since: timedelta) -> list[UUID]:
        """Jobs that have been due that long and were not taken up."""
        due = func.greatest(Job.created_at, func.coalesce(Job.not_before, Job.created_at))
        statement = select(Job.id).where(Job.state == "queued", due < func.now() - since)
        return list(await self._session.scalars(statement.order_by(Job.id)))

    async def unerased(self, *, since: timedelta) -> list[UUID]:
        """Documents deleted that long ago of which something is left."""
        statement = select(Document.id).where(Document.deleted_at < func.now() - since)
        return list(await self._session.scalars(statement.order_by(Document.deleted_at)))

    async def debts(self, *, since: timedelta) -> list[UUID]:
        """Debts to the vector index that were entered that long ago and not paid."""
        statement = select(StaleVectors.id).where(StaleVectors.created_at < func.now() - since)
        return list(await self._session.scalars(statement.order_by(StaleVectors.id)))


def _of(knowledge_base_id: UUID, *, under_way: bool) -> ColumnElement[bool]:
    """Chunks of the active versions of a knowledge base, and of those that an open job is making."""
    active = select(Document.active_version_id).where(
        Document.knowledge_base_id == knowledge_base_id,
        Document.deleted_at.is_(None),
        Document.active_version_id.is_not(None),
    )
    if not under_way:
        return Chunk.version_id.in_(active)
    making = select(Job.version_id).where(
        Job.knowledge_base_id == knowledge_base_id, Job.state.not_in(FINISHED)
    )
    return Chunk.version_id.in_(union(active, making).scalar_subquery())


def _without_embedding(knowledge_base_id: UUID, model: str) -> Select[Chunk]:
    return (
        select(Chunk)
        .outerjoin(Embedding, (Embedding.content_hash == Chunk.content_hash) & (Embedding.model == model))
        .where(_of(knowledge_base_id, under_way=False), Embedding.content_hash.is_(None))
    )
