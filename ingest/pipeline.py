"""One job from bytes to answers: extract, chunk, embed, store, activate."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

from ingest.chunking import TextChunk, chunk
from ingest.sandbox import Extractor
from ingest.storing import Cut, Store, Upsert
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Job
from rag_service.db.repositories.jobs import LostLease
from rag_service.db.repositories.stale_vectors import Stale
from rag_service.db.repositories.steps import Reached, Readable
from rag_service.errors import DatabaseUnavailable, NotFound
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.vectors import VectorIndex, collection_name

logger = logging.getLogger(__name__)

BATCH = 128
"""Chunks embedded and stored in one go."""

AT_ONCE = 2
"""Batches under way: while one is stored, another is embedded, and the embedder is never without work."""

LARGE_BYTES = 4 * 1024 * 1024

PROGRESS_SECONDS = 1.0
"""How old what a job's row says of its progress may be."""


@dataclass
class Progress:
    """What the job's row says of the work under way."""

    state: str = "extracting"
    done: int = 0
    total: int = 0
    warnings: list[str] = field(default_factory=list)

    def of(self, job: Job) -> Reached:
        return Reached(job, self.state, self.done, self.total, list(self.warnings))


@dataclass(frozen=True)
class Pipeline:
    """All that a job needs; built once a worker. Several jobs may run at once."""

    database: Database
    blobs: BlobStore
    vectors: VectorIndex
    embedder: Embedder
    extractor: Extractor
    chunk_tokens: int
    lease: timedelta
    _store: Store = field(init=False)
    _large: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        store = Store(self.database, self.vectors, self.embedder.fingerprint, self.lease)
        object.__setattr__(self, "_store", store)

    async def run(self, job: Job) -> None:
        """Do a claimed job to its end.

        Raises:
            LostLease: another worker has it now; nothing of this run counts.
            NotFound: the document was deleted.
            UnreadableDocument: the file cannot be used.
            EmbeddingModelMismatch: another worker has to do it, one that has the knowledge base's model.
            Unavailable: something we depend on is away; the job can be tried again.
        """
        with self._store.working():
            await self._run(job)

    async def _run(self, job: Job) -> None:
        progress = Progress()
        chunks: Sequence[TextChunk] = ()
        try:
            async with self._leased(job, progress):
                file = await self._store.read(job)
                async with self._alone_if_large(file.size):
                    extraction = await self.extractor.extract(self.blobs.path(file.blob), file.name)
                    progress.state, progress.warnings = "chunking", list(extraction.warnings)
                    wanted = file.knowledge_base.chunk_tokens or self.chunk_tokens
                    limit = min(wanted, self.embedder.max_tokens)
                    chunks = await asyncio.to_thread(
                        chunk, extraction, self.embedder.token_spans, limit=limit
                    )
                    await self._embed_and_store(job, chunks, progress)
                progress.state = "storing"
            # Behind the lease: the job's own end must not look like its loss to the renewal.
            await self._store.activate(
                Readable(job, extraction.media_type, extraction.title, extraction.pages, len(chunks))
            )
        except (LostLease, NotFound):
            await self._leave(job, chunks)
            raise

    @asynccontextmanager
    async def _alone_if_large(self, size: int) -> AsyncIterator[None]:
        """One large file at a time: memory is bounded by it and the small ones beside it."""
        async with self._large if size > LARGE_BYTES else nullcontext():
            yield

    @asynccontextmanager
    async def _leased(self, job: Job, progress: Progress) -> AsyncIterator[None]:
        """Keep the lease alive and the row up to date; cancel the work when the lease is lost."""
        work = asyncio.current_task()
        lost = False

        async def beat() -> None:
            nonlocal lost
            seconds = min(self.lease.total_seconds() / 3, PROGRESS_SECONDS)
            while True:
                await asyncio.sleep(seconds)
                try:
                    await self._store.advance(progress.of(job))
                except LostLease:
                    lost = True
                    if work is not None:
                        work.cancel()
                    return
                except DatabaseUnavailable:
                    logger.warning("the lease could not be renewed; trying again")

        # Not a task group: it would wrap what the work raises.
        heart = asyncio.create_task(beat())
        try:
            try:
                yield
            finally:
                heart.cancel()
                await asyncio.wait([heart])
        except asyncio.CancelledError:
            if lost and work is not None and work.uncancel() == 0:
                raise LostLease("The lease of this job was lost.") from None
            raise

    async def _embed_and_store(self, job: Job, chunks: Sequence[TextChunk], progress: Progress) -> None:
        """Store the chunks, and a vector of each.

        Chunks go by length, so that a batch holds texts of one size and little is padding.
        """
        progress.state, progress.total = "embedding", len(chunks)
        await self._store.place(Cut(progress.of(job), chunks))
        contents = _by_content(chunks)
        places = asyncio.Semaphore(AT_ONCE)

        async def store(batch: Sequence[Sequence[TextChunk]]) -> None:
            async with places:
                vectors = await self._vectors_of([items[0] for items in batch])
                ids = [item.id_in(job.version_id) for items in batch for item in items]
                repeated = np.repeat(vectors, [len(items) for items in batch], axis=0)
                await self._store.upsert(Upsert(self._collection(job), ids, repeated))
                progress.done += len(ids)

        await _all(store(contents[at : at + BATCH]) for at in range(0, len(contents), BATCH))

    async def _vectors_of(self, chunks: Sequence[TextChunk]) -> Vectors:
        """Their vectors; what has none yet is embedded, and kept."""
        known = dict(await self._store.known([item.content_hash for item in chunks]))
        missing = [item for item in chunks if item.content_hash not in known]
        if missing:
            vectors = await self.embedder.embed_texts([item.embedded for item in missing])
            new = {item.content_hash: vector for item, vector in zip(missing, vectors, strict=True)}
            await self._store.keep(new)
            known |= new
        return np.stack([known[item.content_hash] for item in chunks])

    async def _leave(self, job: Job, chunks: Sequence[TextChunk]) -> None:
        """What this run has stored is stale, unless another run or the active version wants the same."""
        ids = [item.id_in(job.version_id) for item in chunks]
        try:
            async with self.database.transaction() as session:
                await Stale(session).enter(self._collection(job), ids)
        except DatabaseUnavailable:
            logger.warning("vectors of a lost job were left", extra={"version_id": str(job.version_id)})

    def _collection(self, job: Job) -> str:
        return collection_name(job.knowledge_base_id, self.embedder.fingerprint)


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it; the first failure ends the rest and is raised as it is."""
    tasks = [asyncio.create_task(item) for item in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _by_content(chunks: Sequence[TextChunk]) -> list[list[TextChunk]]:
    """The chunks, those together that say the same and so need one embedding; the shortest first."""
    groups: dict[str, list[TextChunk]] = {}
    for item in chunks:
        groups.setdefault(item.content_hash, []).append(item)
    return sorted(groups.values(), key=lambda items: items[0].tokens)
