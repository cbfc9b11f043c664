"""Queries on chunks and their embeddings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Chunk, Document, DocumentVersion, Embedding, KnowledgeBase
from rag_service.db.repositories.filters import NO_FILTERS, Filters

ROWS_AT_ONCE = 500
"""Rows of one statement: a document of any size is stored in a bounded space."""


@dataclass(frozen=True)
class ReadableChunk:
    """A chunk that may be quoted: of the active version of a document that exists."""

    chunk: Chunk
    document_id: UUID
    filename: str
    title: str


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

    async def readable(
        self, knowledge_base_id: UUID, ids: Sequence[UUID], filters: Filters = NO_FILTERS
    ) -> dict[UUID, ReadableChunk]:
        """Those of `ids` that belong to the active version of a living document of this knowledge base, and pass the
        filters.

        Every hit of an index passes through here, so a stale or foreign vector cannot reach an answer.
        """
        rows = await self._session.execute(
            _READABLE.where(*filters.conditions()) if filters else _READABLE,
            {"ids": list(ids), "knowledge_base_id": knowledge_base_id},
        )
        return {
            chunk.id: ReadableChunk(chunk, document_id, name, title or name)
            for chunk, document_id, name, title in rows
        }

    async def neighbours(
        self, knowledge_base_id: UUID, of: Sequence[Chunk], *, reach: int
    ) -> list[ReadableChunk]:
        """Chunks that stand at most `reach` places before or behind one of these, in the same version; only what may
        be quoted. Those of `of` are among them."""
        rows = await self._session.execute(
            _NEIGHBOURS,
            {
                "version_ids": [chunk.version_id for chunk in of],
                "ordinals": [chunk.ordinal for chunk in of],
                "reach": reach,
                "knowledge_base_id": knowledge_base_id,
            },
        )
        found = {
            chunk.id: ReadableChunk(chunk, document_id, name, title or name)
            for chunk, document_id, name, title in rows
        }
        return list(found.values())

    async def matching(self, knowledge_base_id: UUID, filters: Filters, *, limit: int) -> list[UUID]:
        """Chunks that `readable` would let through, at most so many."""
        statement = select(Chunk.id).where(*_are_readable(knowledge_base_id, filters)).limit(limit)
        return list(await self._session.scalars(statement))

    async def passing(self, knowledge_base_id: UUID, ids: Sequence[UUID], filters: Filters) -> set[UUID]:
        """Those of `ids` that `readable` would let through."""
        statement = _READABLE.with_only_columns(Chunk.id).where(*filters.conditions())
        return set(
            await self._session.scalars(statement, {"ids": list(ids), "knowledge_base_id": knowledge_base_id})
        )

    async def matching_documents(self, knowledge_base_id: UUID, filters: Filters) -> list[UUID]:
        """The documents of `matching`."""
        return list(
            await self._session.scalars(
                select(Document.id)
                .join(DocumentVersion, Document.active_version_id == DocumentVersion.id)
                .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
                .where(*_are_of_documents(knowledge_base_id, filters))
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


_ARE_IDS = Chunk.id == any_(bindparam("ids", type_=ARRAY(Uuid)))
"""As `in_`, but one statement whatever the number of ids: PostgreSQL parses and plans it once a connection."""


def _are_readable(
    knowledge_base_id: UUID | BindParameter[UUID], filters: Filters
) -> list[ColumnElement[bool]]:
    """What makes a chunk one that may be quoted. A caller's filters come on top of the rest, and only narrow it."""
    return [
        DocumentVersion.id == Chunk.version_id,
        *_are_of_documents(knowledge_base_id, filters),
    ]


def _are_of_documents(
    knowledge_base_id: UUID | BindParameter[UUID], filters: Filters
) -> list[ColumnElement[bool]]:
    return [
        Document.active_version_id == DocumentVersion.id,
        KnowledgeBase.id == Document.knowledge_base_id,
        KnowledgeBase.id == knowledge_base_id,
        KnowledgeBase.deleted_at.is_(None),
        Document.deleted_at.is_(None),
        DocumentVersion.state == "ready",
        *filters.conditions(),
    ]


# Built once: to build it takes as long as to ask it.
_READABLE = select(Chunk, Document.id, Document.name, DocumentVersion.title).where(
    _ARE_IDS, *_are_readable(bindparam("knowledge_base_id", type_=Uuid), NO_FILTERS)
)
_PLACES = (
    func.unnest(bindparam("version_ids", type_=ARRAY(Uuid)), bindparam("ordinals", type_=ARRAY(Integer)))
    .table_valued(column("version_id", Uuid), column("ordinal", Integer), name="places")
    .render_derived()
)
_REACH = bindparam("reach", type_=Integer)
_NEIGHBOURS = select(Chunk, Document.id, Document.name, DocumentVersion.title).where(
    Chunk.version_id == _PLACES.c.version_id,
    Chunk.ordinal.between(_PLACES.c.ordinal - _REACH, _PLACES.c.ordinal + _REACH),
    *_are_readable(bindparam("knowledge_base_id", type_=Uuid), NO_FILTERS),
)
_VECTORS = select(Chunk.id, Embedding.vector).where(
    Embedding.model == bindparam("model"), Embedding.content_hash == Chunk.content_hash, _ARE_IDS
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

    async def of_chunks(self, model: str, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """The vectors of chunks, as far as they are known; each of shape (dimensions,)."""
        rows = await self._session.execute(_VECTORS, {"model": model, "ids": list(ids)})
        return {chunk_id: np.frombuffer(vector, dtype="<f4") for chunk_id, vector in rows}

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
