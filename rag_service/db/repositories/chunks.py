"""Queries on chunks and their embeddings."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Text, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Chunk, Document, Embedding, KnowledgeBase

ROWS_AT_ONCE = 500
"""Rows of one statement: a document of any size is stored in a bounded space."""


class Chunks:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def replace(self, version_ids: Sequence[UUID], rows: Iterable[dict[str, Any]]) -> None:
        """Make these the chunks of those versions. Run again after a crash, it leaves the same rows."""
        await self._session.execute(delete(Chunk).where(Chunk.version_id.in_(version_ids)))
        coming = iter(rows)
        while part := list(islice(coming, ROWS_AT_ONCE)):
            await self._session.execute(insert(Chunk), part)

    async def ids_of(self, version_id: UUID) -> list[UUID]:
        return list(await self._session.scalars(select(Chunk.id).where(Chunk.version_id == version_id)))

    async def page_of(self, version_id: UUID, *, after: int, limit: int) -> list[Chunk]:
        """Chunks of a version in order of the text, from the one behind ordinal `after`."""
        return list(
            await self._session.scalars(
                select(Chunk)
                .where(Chunk.version_id == version_id, Chunk.ordinal > after)
                .order_by(Chunk.ordinal)
                .limit(limit)
            )
        )

    async def sample(
        self, limit: int, *, of: UUID | None = None, outside: UUID | None = None
    ) -> list[tuple[UUID, str]]:
        """Chunks that can be asked for, as their document's id and their text, the same each time but in no order: of
        one knowledge base, or of all but one."""
        chosen = [] if of is None else [Document.knowledge_base_id == of]
        chosen += [] if outside is None else [Document.knowledge_base_id != outside]
        rows = await self._session.execute(
            select(Document.id, Chunk.text)
            .join(Document, Document.active_version_id == Chunk.version_id)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(Document.deleted_at.is_(None), KnowledgeBase.deleted_at.is_(None), *chosen)
            .order_by(func.md5(cast(Chunk.id, Text)))
            .limit(limit)
        )
        return [(document_id, text) for document_id, text in rows]

    async def count(self, knowledge_base_id: UUID) -> int:
        """Chunks that can be asked for."""
        return (
            await self._session.scalar(
                select(func.count(Chunk.id))
                .join(Document, Document.active_version_id == Chunk.version_id)
                .where(Document.knowledge_base_id == knowledge_base_id, Document.deleted_at.is_(None))
            )
            or 0
        )


class Embeddings:
    """Vectors by (model, content hash), float32."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def load(self, model: str, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors already known, by content hash; each of shape (dimensions,)."""
        rows = await self._session.execute(
            select(Embedding.content_hash, Embedding.vector).where(
                Embedding.model == model, Embedding.content_hash.in_(hashes)
            )
        )
        return {key: np.frombuffer(vector, dtype="<f4") for key, vector in rows}

    async def save(self, model: str, vectors: dict[str, NDArray[np.float32]]) -> None:
        if not vectors:
            return
        await self._session.execute(
            insert(Embedding).on_conflict_do_nothing(),
            [
                {"model": model, "content_hash": key, "vector": vectors[key].astype("<f4").tobytes()}
                for key in sorted(vectors)  # in one order: two workers must not wait for each other
            ],
        )
