"""What the steps of a job read from PostgreSQL and write to it, in one transaction for all jobs that are at it."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from ingest.chunking import TextChunk
from ingest.gathering import Gathered
from rag_service.db.engine import Database
from rag_service.db.models import Job
from rag_service.db.repositories.chunks import Chunks, Embeddings
from rag_service.db.repositories.jobs import LostLease
from rag_service.db.repositories.stale_vectors import Stale
from rag_service.db.repositories.steps import Reached, Readable, Steps, ToRead
from rag_service.errors import EmbeddingModelMismatch, NotFound
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.model_check import check_can_store, check_is_model
from rag_service.knowledge.vectors import VectorIndex, collection_name

LARGE = 128
"""Chunks of a document above which its rows are written alone: smaller ones would wait for it."""

PAUSE_SECONDS = 0.05
"""How long the rows of a document wait for those of others, while more than one is read: what is placed together comes
to each later step together."""

Known = Mapping[str, NDArray[np.float32]]
"""Vectors of shape (dimensions,) by content hash."""


@dataclass(frozen=True)
class Cut:
    """A document in chunks, and where its job is with them."""

    reached: Reached
    chunks: Sequence[TextChunk]


@dataclass(frozen=True)
class Upsert:
    """Vectors of shape (len(ids), dimensions) for a collection."""

    collection: str
    ids: Sequence[UUID]
    vectors: Vectors


class Store:
    """Jobs that come to the same step while another's transaction is under way share the next one."""

    def __init__(self, database: Database, vectors: VectorIndex, model: str, lease: timedelta) -> None:
        """`model` is the fingerprint of the embedding model that the vectors are of."""
        self._database = database
        self._vectors = vectors
        self._model = model
        self._lease = lease
        self._jobs = 0
        self._advancing = asyncio.Lock()
        self.read = Gathered(self._read)
        """A job's file, by the job. Raises NotFound, EmbeddingModelMismatch."""
        self.known = Gathered(self._known)
        """The vectors there are of these content hashes."""
        self.keep = Gathered(self._keep)
        """Keep new vectors."""
        self.upsert = Gathered(self._upsert)
        """Store vectors in the index. Raises VectorIndexUnavailable."""
        self.activate = Gathered(self._activate)
        """Flip a document to its new version and end the job, together. Raises LostLease, NotFound,
        EmbeddingModelMismatch."""
        self._small = Gathered(self._place, pause=self._pause)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within the block a job is under way."""
        self._jobs += 1
        try:
            yield
        finally:
            self._jobs -= 1

    def _pause(self) -> float:
        return PAUSE_SECONDS if self._jobs > 1 else 0.0

    async def place(self, cut: Cut) -> None:
        """Write the chunks' rows. Raises LostLease, EmbeddingModelMismatch."""
        if len(cut.chunks) <= LARGE:
            await self._small(cut)
        elif refused := (await self._place([cut]))[0]:
            raise refused

    async def advance(self, reached: Reached) -> None:
        """Record where the work is, and renew the lease. Raises LostLease."""
        # One after the other: many jobs are not to open a connection each. Together they could block each other's rows.
        async with self._advancing, self._database.transaction() as session:
            if not await Steps(session).advance([reached], lease=self._lease):
                raise LostLease()

    async def _read(self, jobs: Sequence[Job]) -> Sequence[ToRead | Exception]:
        async with self._database.reading() as session:
            found = await Steps(session).to_read([job.version_id for job in jobs])
        return [self._checked(found.get(job.version_id)) for job in jobs]

    def _checked(self, file: ToRead | None) -> ToRead | Exception:
        if file is None:
            return _deleted()
        try:
            check_is_model(file.knowledge_base, self._model)
        except EmbeddingModelMismatch as error:
            return error
        return file

    async def _place(self, cuts: Sequence[Cut]) -> Sequence[Exception | None]:
        async with self._database.transaction() as session:
            await self._check_can_store(session, (cut.reached.job for cut in cuts))
            # Holds the jobs' rows: no document can be erased, nor a job taken over, before the chunks are in.
            ours = await Steps(session).advance([cut.reached for cut in cuts], lease=self._lease)
            mine = [cut for cut in cuts if cut.reached.job.id in ours]
            rows = (row_of(cut.reached.job.version_id, chunk) for cut in mine for chunk in cut.chunks)
            await Chunks(session).replace([cut.reached.job.version_id for cut in mine], rows)
        return [None if cut.reached.job.id in ours else LostLease() for cut in cuts]

    async def _check_can_store(self, session: AsyncSession, jobs: Iterable[Job]) -> None:
        for knowledge_base_id in sorted({job.knowledge_base_id for job in jobs}):
            await check_can_store(session, knowledge_base_id, self._model)

    async def _known(self, asked: Sequence[Sequence[str]]) -> Sequence[Known]:
        async with self._database.reading() as session:
            known = await Embeddings(session).load(self._model, [key for keys in asked for key in keys])
        return [{key: known[key] for key in keys if key in known} for keys in asked]

    async def _keep(self, found: Sequence[Known]) -> Sequence[None]:
        async with self._database.transaction() as session:
            await Embeddings(session).save(self._model, {key: one[key] for one in found for key in one})
        return [None] * len(found)

    async def _upsert(self, upserts: Sequence[Upsert]) -> Sequence[None]:
        for collection in sorted({one.collection for one in upserts}):
            together = [one for one in upserts if one.collection == collection]
            ids = [id for one in together for id in one.ids]
            await self._vectors.upsert(collection, ids, np.concatenate([one.vectors for one in together]))
        return [None] * len(upserts)

    async def _activate(self, readable: Sequence[Readable]) -> Sequence[Exception | None]:
        refused: dict[UUID, Exception] = {}
        async with self._database.transaction() as session:
            await self._check_can_store(session, (one.job for one in readable))
            steps = Steps(session)
            ours = await steps.succeed([one.job for one in readable])
            refused |= {one.job.id: LostLease() for one in readable if one.job.id not in ours}
            activated = await steps.activate([one for one in readable if one.job.id in ours])
            if activated.deleted:
                # Its job is not to end well: all again, each for itself.
                raise _deleted()
            for knowledge_base_id, version_id in activated.unwanted:
                collection = collection_name(knowledge_base_id, self._model)
                await Stale(session).enter(collection, await Chunks(session).ids_of(version_id))
        return [refused.get(one.job.id) for one in readable]


def _deleted() -> NotFound:
    return NotFound("There is no such document.", code="document_not_found")


def row_of(version_id: UUID, item: TextChunk) -> dict[str, Any]:
    return {
        "id": item.id_in(version_id),
        "version_id": version_id,
        "ordinal": item.ordinal,
        "text": item.text,
        "headings": list(item.headings),
        "context": item.context,
        "page": item.page,
        "page_end": item.page_end,
        "char_start": item.start,
        "char_end": item.end,
        "tokens": item.tokens,
        "content_hash": item.content_hash,
    }
