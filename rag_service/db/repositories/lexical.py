"""Queries of who follows what is active: by comparison, not by a log.

The follower of a log has to know that neither a number nor a time is the order of commits, that the database may be
one from a backup, and what became of rows that are gone. Who compares what there is with what there should be has
nothing to remember. Sums keep that small: of a knowledge base, then of its 256 parts, and the ids only of parts that
differ.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Text, cast, func, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Chunk, Document, DocumentVersion, KnowledgeBase

ACTIVE_CHANNEL = "rag_active"
"""NOTIFY here tells that a version became active or a document was deleted. Who misses it finds out by comparing."""

_BITS = 48


@dataclass(frozen=True)
class Digest:
    """A set of versions in brief: how many, and the sum of the last bits of their ids, which are random."""

    count: int = 0
    total: int = 0

    @classmethod
    def of(cls, versions: Iterable[UUID]) -> Self:
        parts = [version.int & ((1 << _BITS) - 1) for version in versions]
        return cls(len(parts), sum(parts))


def part_of(version_id: UUID) -> int:
    """The part of its knowledge base that a version is counted with."""
    return version_id.bytes[-1]


_COLUMNS: tuple[ColumnElement[Any], ...] = (
    func.count(),
    func.sum(
        literal_column(
            f"('x' || right(documents.active_version_id::text, {_BITS // 4}))::bit({_BITS})::bigint"
        )
    ),
)
_CHUNKS = func.coalesce(DocumentVersion.chunk_count, 0)
_PART: ColumnElement[int] = func.get_byte(func.uuid_send(Document.active_version_id), 15, type_=Integer)


@dataclass(frozen=True)
class ActiveBase:
    """A knowledge base in which there is something to find."""

    id: UUID
    language: str | None
    digest: Digest


@dataclass(frozen=True)
class ActiveVersion:
    """What a document says now: its title, or its file's name without the ending, and in how many chunks."""

    id: UUID
    document_id: UUID
    title: str
    chunks: int


class Lexical:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def bases(self) -> list[ActiveBase]:
        """Every knowledge base that has an active version."""
        rows = await self._session.execute(
            _active(KnowledgeBase.id, KnowledgeBase.language, *_COLUMNS).group_by(KnowledgeBase.id)
        )
        return [ActiveBase(id, language, Digest(count, int(total))) for id, language, count, total in rows]

    async def parts(self, knowledge_base_id: UUID) -> dict[int, Digest]:
        """The digests of a knowledge base's parts, without those in which nothing is."""
        rows = await self._session.execute(
            _active(_PART, *_COLUMNS).where(KnowledgeBase.id == knowledge_base_id).group_by(_PART)
        )
        return {part: Digest(count, int(total)) for part, count, total in rows}

    async def versions(self, knowledge_base_id: UUID, parts: Collection[int]) -> list[ActiveVersion]:
        """The active versions of those parts, the oldest first."""
        rows = await self._session.execute(
            _active(DocumentVersion.id, Document.id, DocumentVersion.title, Document.name, _CHUNKS)
            .join(DocumentVersion, DocumentVersion.id == Document.active_version_id)
            .where(KnowledgeBase.id == knowledge_base_id, _PART.in_(parts))
            .order_by(DocumentVersion.id)
        )
        return [
            ActiveVersion(id, document_id, title or PurePath(name).stem, chunks)
            for id, document_id, title, name, chunks in rows
        ]

    async def chunk_ids(self, knowledge_base_id: UUID, part: int) -> set[UUID]:
        """The chunks of a part's active versions."""
        of_part = _active(Chunk.id).join(Chunk, Chunk.version_id == Document.active_version_id)
        of_part = of_part.where(KnowledgeBase.id == knowledge_base_id, _PART.in_([part]))
        return set(await self._session.scalars(of_part))

    async def sample(self, knowledge_base_id: UUID, limit: int) -> dict[UUID, tuple[UUID, str]]:
        """Active chunks with their documents and texts, the same each time but in no order."""
        chosen = _active(Chunk.id, Document.id, Chunk.text)
        rows = await self._session.execute(
            chosen.join(Chunk, Chunk.version_id == Document.active_version_id)
            .where(KnowledgeBase.id == knowledge_base_id)
            .order_by(func.md5(cast(Chunk.id, Text)))
            .limit(limit)
        )
        return {chunk: (document, text) for chunk, document, text in rows}

    async def chunks(
        self, versions: Sequence[UUID], *, after: tuple[UUID, int] | None, limit: int
    ) -> list[Chunk]:
        """The chunks of versions by (version, ordinal), from the one behind `after` on."""
        statement = select(Chunk).where(Chunk.version_id.in_(versions))
        if after is not None:
            statement = statement.where(tuple_(Chunk.version_id, Chunk.ordinal) > after)
        return list(
            await self._session.scalars(statement.order_by(Chunk.version_id, Chunk.ordinal).limit(limit))
        )


def _active(*columns: Any) -> Select[Any]:
    """`columns` of documents that are to be found; the last condition of what may be quoted, the version's state, is
    true of every active one."""
    return (
        select(*columns)
        .select_from(Document)
        .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
        .where(
            Document.active_version_id.is_not(None),
            Document.deleted_at.is_(None),
            KnowledgeBase.deleted_at.is_(None),
        )
    )
