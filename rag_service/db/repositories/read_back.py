"""What the indexes found, read back from PostgreSQL: the queries that stand between an index and an answer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Integer, Select, String, Uuid, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from rag_service.db.engine import Database
from rag_service.db.models import Chunk, Document, DocumentVersion, Embedding, KnowledgeBase
from rag_service.db.plain import PlainQuery
from rag_service.db.repositories.filters import NO_FILTERS, Filters, Shape, conditions

SHAPES = 128
"""Kinds of filters whose statements are kept: a caller can think up as many as they like."""


class FoundChunk(NamedTuple):
    """What is told of a chunk (see `models.Chunk`)."""

    id: UUID
    version_id: UUID
    ordinal: int
    text: str
    headings: list[str]
    context: str
    page: int | None


class ReadableChunk(NamedTuple):
    """A chunk that may be quoted: of the active version of a document that exists."""

    chunk: FoundChunk
    document_id: UUID
    filename: str
    title: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> "ReadableChunk":
        *chunk, document_id, name, title = row
        return cls(FoundChunk(*chunk), document_id, name, title or name)


class MatchingDocument(NamedTuple):
    """A document that filters leave, and its active version with the number of its chunks."""

    id: UUID
    version_id: UUID
    chunks: int


class Stored(NamedTuple):
    """Chunks with their vectors, which are of shape (len(ids), dimensions)."""

    ids: Sequence[UUID]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "Stored":
        """From rows of an id and a vector's bytes."""
        if not rows:
            return NONE_STORED
        together = np.frombuffer(b"".join([vector for _, vector in rows]), dtype="<f4")
        return cls([chunk_id for chunk_id, _ in rows], together.reshape(len(rows), -1))


NONE_STORED = Stored((), np.zeros((0, 0), dtype=np.float32))


class ReadBack:
    """Queries on chunks that may be quoted. All raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def readable(
        self, knowledge_base_id: UUID, ids: Sequence[UUID], filters: Filters = NO_FILTERS
    ) -> dict[UUID, ReadableChunk]:
        """Those of `ids` that belong to the active version of a living document of this knowledge base, and pass the
        filters.

        Every hit of an index passes through here, so a stale or foreign vector cannot reach an answer.
        """
        query = _readable(filters.shape)
        rows = await self._database.rows(
            query, ids=ids, knowledge_base_id=knowledge_base_id, **filters.values()
        )
        return {row[0]: ReadableChunk.of(row) for row in rows}

    async def neighbours(
        self, knowledge_base_id: UUID, of: Sequence[FoundChunk], *, reach: int
    ) -> list[ReadableChunk]:
        """Chunks that stand at most `reach` places before or behind one of these, in the same version; only what may
        be quoted. Those of `of` are among them."""
        rows = await self._database.rows(
            _NEIGHBOURS,
            version_ids=[chunk.version_id for chunk in of],
            ordinals=[chunk.ordinal for chunk in of],
            reach=reach,
            knowledge_base_id=knowledge_base_id,
        )
        return list({row[0]: ReadableChunk.of(row) for row in rows}.values())

    async def matching(
        self, knowledge_base_id: UUID, filters: Filters, *, limit: int | None = None
    ) -> list[MatchingDocument]:
        """The documents whose chunks `readable` would let through, at most so many."""
        query = _matching(filters.shape)
        rows = await self._database.rows(
            query, knowledge_base_id=knowledge_base_id, most=limit, **filters.values()
        )
        return [MatchingDocument(*row) for row in rows]

    async def passing(self, knowledge_base_id: UUID, ids: Sequence[UUID], filters: Filters) -> set[UUID]:
        """Those of `ids` that `readable` would let through."""
        query = _passing(filters.shape)
        rows = await self._database.rows(
            query, ids=ids, knowledge_base_id=knowledge_base_id, **filters.values()
        )
        return {row[0] for row in rows}

    async def vectors(self, model: str, ids: Sequence[UUID]) -> Stored:
        """The vectors of chunks, as far as they are known."""
        return Stored.of(await self._database.rows(_VECTORS, model=model, ids=ids))

    async def vectors_of(self, model: str, version_ids: Sequence[UUID]) -> Stored:
        """The vectors of all chunks of these versions, as far as they are known."""
        return Stored.of(await self._database.rows(_VECTORS_OF, model=model, version_ids=version_ids))


_ARE_IDS = Chunk.id == any_(bindparam("ids", type_=ARRAY(Uuid)))
"""As `in_`, but one statement whatever the number of ids: PostgreSQL parses and plans it once a connection."""


def _of_documents(shape: Shape) -> list[ColumnElement[bool]]:
    """What makes a document one that may be quoted. A caller's filters come on top of the rest, and only narrow it."""
    return [
        Document.active_version_id == DocumentVersion.id,
        Document.id == DocumentVersion.document_id,  # by which it is found the quickest
        KnowledgeBase.id == Document.knowledge_base_id,
        KnowledgeBase.id == bindparam("knowledge_base_id", type_=Uuid),
        KnowledgeBase.deleted_at.is_(None),
        Document.deleted_at.is_(None),
        DocumentVersion.state == "ready",
        *conditions(shape),
    ]


def _of_chunks(shape: Shape) -> list[ColumnElement[bool]]:
    return [DocumentVersion.id == Chunk.version_id, *_of_documents(shape)]


_WANTED = select(*Chunk.__table__.c).where(_ARE_IDS).cte("wanted").prefix_with("MATERIALIZED")
"""The chunks of the ids, found before anything else: without statistics, as after many uploads, PostgreSQL would sooner
look at every document of the knowledge base, and take ten times as long."""


def _columns(chunk: Any = Chunk) -> Select[*tuple[Any, ...]]:
    of_chunk = [getattr(chunk, name) for name in FoundChunk._fields]
    return select(*of_chunk, Document.id, Document.name, DocumentVersion.title)


@lru_cache(SHAPES)
def _readable(shape: Shape) -> PlainQuery:
    chunk = _WANTED.c
    return PlainQuery(_columns(chunk).where(DocumentVersion.id == chunk.version_id, *_of_documents(shape)))


@lru_cache(SHAPES)
def _passing(shape: Shape) -> PlainQuery:
    chunk = _WANTED.c
    return PlainQuery(select(chunk.id).where(DocumentVersion.id == chunk.version_id, *_of_documents(shape)))


@lru_cache(SHAPES)
def _matching(shape: Shape) -> PlainQuery:
    chunks = func.coalesce(DocumentVersion.chunk_count, 0)
    most = bindparam("most", type_=Integer)
    of_document = select(Document.id, DocumentVersion.id, chunks)
    return PlainQuery(of_document.where(*_of_documents(shape)).limit(most))


_PLACES = (
    func.unnest(bindparam("version_ids", type_=ARRAY(Uuid)), bindparam("ordinals", type_=ARRAY(Integer)))
    .table_valued(column("version_id", Uuid), column("ordinal", Integer), name="places")
    .render_derived()
)
_REACH = bindparam("reach", type_=Integer)
_NEIGHBOURS = PlainQuery(
    _columns().where(
        Chunk.version_id == _PLACES.c.version_id,
        Chunk.ordinal.between(_PLACES.c.ordinal - _REACH, _PLACES.c.ordinal + _REACH),
        *_of_chunks(NO_FILTERS.shape),
    )
)
_HASHES = func.array(select(_WANTED.c.content_hash).scalar_subquery(), type_=ARRAY(String))
_VECTORS = PlainQuery(
    select(_WANTED.c.id, Embedding.vector).where(
        Embedding.model == bindparam("model"),
        Embedding.content_hash == _WANTED.c.content_hash,
        # Says no more than the line before, but is looked up in the index, where that would be compared with all.
        Embedding.content_hash == any_(_HASHES),
    )
)
_VECTORS_OF = PlainQuery(
    select(Chunk.id, Embedding.vector).where(
        Chunk.version_id == any_(bindparam("version_ids", type_=ARRAY(Uuid))),
        Embedding.model == bindparam("model"),
        Embedding.content_hash == Chunk.content_hash,
    )
)
