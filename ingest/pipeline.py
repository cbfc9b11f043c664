"""One job from bytes to answers: extract, chunk, embed, store, activate."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np

from ingest.blocks import Extraction
from ingest.chunking import TextChunk, chunk
from ingest.sandbox import Extractor
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Document, DocumentVersion, Job
from rag_service.db.repositories.chunks import Chunks, Embeddings
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.jobs import Jobs, LostLease
from rag_service.errors import DatabaseUnavailable, NotFound, VectorIndexUnavailable
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.model_check import check_can_store
from rag_service.knowledge.vectors import VectorIndex, collection_name

logger = logging.getLogger(__name__)

SUPER_BATCH = 128
"""Chunks embedded and stored in one go."""

AT_ONCE = 2
"""Batches under way: while one is stored, another is embedded, and the embedder is never without work."""

PROGRESS_SECONDS = 1.0
"""How old what a job's row says of its progress may be."""


@dataclass
class Progress:
    """What the job's row says of the work under way."""

    state: str = "extracting"
    done: int = 0
    total: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pipeline:
    """All that a job needs; built once a worker."""

    database: Database
    blobs: BlobStore
    vectors: VectorIndex
    embedder: Embedder
    extractor: Extractor
    chunk_tokens: int
    lease: timedelta

    async def run(self, job: Job) -> None:
        """Do a claimed job to its end.

        Raises:
            LostLease: another worker has it now; nothing of this run counts.
            NotFound: the document was deleted.
            UnreadableDocument: the file cannot be used.
            EmbeddingModelMismatch: another worker has to do it, one that has the knowledge base's model.
            Unavailable: something we depend on is away; the job can be tried again.
        """
        progress = Progress()
        async with self._leased(job, progress):
            document, version = await self._load(job)
            extraction = await self.extractor.extract(self.blobs.path(version.blob), document.name)
            progress.warnings = list(extraction.warnings)
            await self._advance(job, progress, "chunking")
            limit = min(self.chunk_tokens, self.embedder.max_tokens)
            chunks = await asyncio.to_thread(chunk, extraction, self.embedder.token_spans, limit=limit)
            await self._advance(job, progress, "embedding", total=len(chunks))
            await self._embed_and_store(job, version, chunks, progress)
            await self._advance(job, progress, "storing")
        # Behind the lease: the job's own end must not look like its loss to the renewal.
        try:
            unwanted = await self._activate(job, version, extraction, chunks)
        except NotFound:  # the document was deleted in the meantime
            await self._forget_vectors(job.knowledge_base_id, version.id)
            raise
        if unwanted is not None:
            await self._forget_vectors(job.knowledge_base_id, unwanted)

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
                    async with self.database.transaction() as session:
                        await Jobs(session).renew(job, lease=self.lease)
                        await self._write(Jobs(session), job, progress)
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

    async def _advance(self, job: Job, progress: Progress, state: str, *, total: int | None = None) -> None:
        progress.state = state
        if total is not None:
            progress.total = total
        async with self.database.transaction() as session:
            await self._write(Jobs(session), job, progress)

    @staticmethod
    async def _write(jobs: Jobs, job: Job, progress: Progress) -> None:
        await jobs.advance(
            job, progress.state, done=progress.done, total=progress.total, warnings=progress.warnings
        )

    async def _load(self, job: Job) -> tuple[Document, DocumentVersion]:
        async with self.database.transaction() as session:
            await check_can_store(session, job.knowledge_base_id, self.embedder.fingerprint)
            documents = Documents(session)
            return await documents.get(job.document_id), await documents.version(job.version_id)

    async def _embed_and_store(
        self, job: Job, version: DocumentVersion, chunks: Sequence[TextChunk], progress: Progress
    ) -> None:
        """Embed what has no embedding yet, and store the rest at the same time.

        Chunks go by length, so that a batch holds texts of one size and little is padding.
        """
        model = self.embedder.fingerprint
        collection = collection_name(job.knowledge_base_id, model)
        async with self.database.transaction() as session:
            # Holds the job's row: the document cannot be erased, nor the job taken over, before the chunks are in.
            await Jobs(session).renew(job, lease=self.lease)
            await Chunks(session).replace(version.id, [_row(version.id, item) for item in chunks])
            known = await Embeddings(session).load(model, list({item.content_hash for item in chunks}))

        ready = [item for item in chunks if item.content_hash in known]
        if ready:
            vectors = np.stack([known[item.content_hash] for item in ready])
            await self.vectors.upsert(collection, [item.id_in(version.id) for item in ready], vectors)
            progress.done = len(ready)

        missing = _by_content([item for item in chunks if item.content_hash not in known])
        batches = [missing[start : start + SUPER_BATCH] for start in range(0, len(missing), SUPER_BATCH)]
        places = asyncio.Semaphore(AT_ONCE)

        async def embed(batch: Sequence[Sequence[TextChunk]]) -> None:
            async with places:
                vectors = await self.embedder.embed_texts([items[0].embedded for items in batch])
                await self._store(collection, version.id, batch, vectors)
                progress.done += sum(map(len, batch))

        await _all(map(embed, batches))

    async def _store(
        self, collection: str, version_id: UUID, batch: Sequence[Sequence[TextChunk]], vectors: Vectors
    ) -> None:
        """Store a vector for each group of chunks that say the same."""
        by_hash = {items[0].content_hash: vector for items, vector in zip(batch, vectors, strict=True)}
        async with self.database.transaction() as session:
            await Embeddings(session).save(self.embedder.fingerprint, by_hash)
        ids = [item.id_in(version_id) for items in batch for item in items]
        await self.vectors.upsert(
            collection, ids, np.repeat(vectors, [len(items) for items in batch], axis=0)
        )

    async def _activate(
        self, job: Job, version: DocumentVersion, extraction: Extraction, chunks: Sequence[TextChunk]
    ) -> UUID | None:
        """Flip the document to this version and end the job, in one transaction.

        Returns the version whose vectors are not wanted any more, if there is one.
        """
        async with self.database.transaction() as session:
            await check_can_store(session, job.knowledge_base_id, self.embedder.fingerprint)
            await Jobs(session).finish(job, "succeeded")
            documents = Documents(session)
            current = await documents.version(version.id)
            current.media_type = extraction.media_type
            current.title = extraction.title
            current.pages = extraction.pages
            return await documents.activate(current, chunk_count=len(chunks))

    async def _forget_vectors(self, knowledge_base_id: UUID, version_id: UUID) -> None:
        """Remove an unwanted version's vectors. Until then they are only passed over: no reader sees them."""
        async with self.database.transaction() as session:
            ids = await Chunks(session).ids_of(version_id)
        try:
            await self.vectors.delete(collection_name(knowledge_base_id, self.embedder.fingerprint), ids)
        except VectorIndexUnavailable:
            logger.warning("vectors of an unwanted version were left", extra={"version_id": str(version_id)})


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


def _row(version_id: UUID, item: TextChunk) -> dict[str, object]:
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
