"""What the tests of ingestion stand on: one knowledge base on real servers, and workers for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from ingest.pipeline import Pipeline
from ingest.sandbox import Extractor
from ingest.worker import Worker
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Chunk, Job, KnowledgeBase
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.documents import Accepted, Documents
from rag_service.db.repositories.jobs import Jobs
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.read_back import ReadableChunk, ReadBack
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.vectors import ChromaIndex, VectorIndex, collection_name
from rag_service.settings import Settings
from rag_service.testing.embedder import HashedWords

WAIT_SECONDS = 90.0
"""How long anything is waited for: a machine may be busy with much else."""


class HeldEmbedder(HashedWords):
    """Hashed words that hold a job in its midst: each batch waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.passed = 0
        self._permits = asyncio.Semaphore(0)
        self._waiting = 0

    def let_go(self, batches: int = 1) -> None:
        for _ in range(batches):
            self._permits.release()

    async def waiting_for(self, batches: int) -> None:
        """Returns when so many batches wait to be let go."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self._waiting != batches:  # noqa: ASYNC110 - a worker changes it
                await asyncio.sleep(0.01)

    async def has_passed(self, batches: int) -> None:
        """Returns when so many batches were let go."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self.passed < batches:  # noqa: ASYNC110 - a server changes it
                await asyncio.sleep(0.01)

    async def embed_texts(self, texts: Any) -> Vectors:
        self.reached.set()
        self._waiting += 1
        await self._permits.acquire()
        self.passed += 1
        self._waiting -= 1
        return await super().embed_texts(texts)


@dataclass
class Stand:
    database: Database
    blobs: BlobStore
    knowledge_base: KnowledgeBase
    extractor: Extractor
    chroma_url: str
    vectors: VectorIndex
    embedder: HashedWords = field(default_factory=HashedWords)

    def worker(
        self,
        *,
        attempts: int = 4,
        at_once: int = 1,
        lease: float = 30,
        embedder: Embedder | None = None,
        vectors: VectorIndex | None = None,
    ) -> Worker:
        pipeline = Pipeline(
            database=self.database,
            blobs=self.blobs,
            vectors=vectors or self.vectors,
            embedder=embedder or self.embedder,
            extractor=self.extractor,
            chunk_tokens=60,
            lease=timedelta(seconds=lease),
        )
        return Worker(self.database, pipeline, attempts=attempts, at_once=at_once)

    async def use_model(self, fingerprint: str) -> None:
        """Have the knowledge base, still empty, be one of this embedding model."""
        await self.sql("UPDATE knowledge_bases SET embedding_model = :model", model=fingerprint)

    async def upload(self, name: str, data: str | bytes) -> Accepted:
        async def stream() -> AsyncIterator[bytes]:
            yield data.encode() if isinstance(data, str) else data

        blob = await self.blobs.put(stream(), limit=10_000_000)
        async with self.database.transaction() as session:
            return await Documents(session).accept(self.knowledge_base, name, blob)

    async def job_of(self, name: str, data: str | bytes) -> UUID:
        accepted = await self.upload(name, data)
        assert accepted.job is not None
        return accepted.job.id

    async def work(self, worker: Worker | None = None) -> None:
        """Let a worker do all that is due, and erase what became of it."""
        worker = worker or self.worker()
        while await worker.run_one() or await worker.erase_one():
            pass

    async def job(self, job_id: UUID) -> Job:
        async with self.database.transaction() as session:
            return (await Jobs(session).get(job_id))[0]

    async def until(self, job_id: UUID, done: Callable[[Job], bool], seconds: float = WAIT_SECONDS) -> Job:
        """The job, once `done` is true of it."""
        async with asyncio.timeout(seconds):
            while not done(job := await self.job(job_id)):  # noqa: ASYNC110 - another process may change it
                await asyncio.sleep(0.02)
        return job

    async def until_it_says(self, answer: object, statement: str, **values: object) -> None:
        """Waits until a query has that answer."""
        async with asyncio.timeout(WAIT_SECONDS):
            while await self.sql(statement, **values) != answer:  # noqa: ASYNC110 - others change it
                await asyncio.sleep(0.02)

    async def until_vectors_are(self, wanted: Callable[[set[UUID]], bool]) -> None:
        """Waits until the vector index holds what is wanted."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not wanted(await self.vector_ids()):  # noqa: ASYNC110 - others change it
                await asyncio.sleep(0.02)

    async def chunks(self, version_id: UUID) -> list[Chunk]:
        async with self.database.transaction() as session:
            return await Chunks(session).page_of(version_id, after=-1, limit=10_000)

    async def vector_ids(self, fingerprint: str | None = None) -> set[UUID]:
        """Every id that the vector index has of the knowledge base; not searched for, but listed."""
        name = collection_name(self.knowledge_base.id, fingerprint or self.embedder.fingerprint)
        base = f"{self.chroma_url}/api/v2/tenants/default_tenant/databases/default_database/collections"
        async with httpx.AsyncClient() as client:
            found = await client.get(f"{base}/{name}")
            if found.status_code == 404:
                return set()
            listed = await client.post(f"{base}/{found.json()['id']}/get", json={"include": []})
            return {UUID(id) for id in listed.raise_for_status().json()["ids"]}

    async def readable(self) -> list[ReadableChunk]:
        """What may be quoted of all that the vector index has, in order of the text."""
        ids = list(await self.vector_ids())
        found = await ReadBack(self.database).readable(self.knowledge_base.id, ids)
        return sorted(found.values(), key=lambda item: (item.filename, item.chunk.ordinal))

    async def sql(self, statement: str, **values: object) -> Any:
        async with self.database.transaction() as session:
            result = await session.execute(text(statement), values)
            return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]


@asynccontextmanager
async def stand_on(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    assert settings.chroma_url
    async with database.transaction() as session:
        base = await KnowledgeBases(session).ensure("default", "Default", HashedWords().fingerprint)
    async with Extractor(seconds=60, memory_mb=1024) as extractor:
        yield Stand(
            database=database,
            blobs=BlobStore(settings.blob_dir),
            knowledge_base=base,
            extractor=extractor,
            chroma_url=settings.chroma_url,
            vectors=ChromaIndex(settings.chroma_url),
        )


@asynccontextmanager
async def running(*coroutines: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Within the block these run; behind it they are stopped, as SIGTERM does."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def handbook(sections: int, *, changed: int | None = None) -> str:
    """A document of as many chunks as sections, one of them changed."""
    return "\n\n".join(
        f"# Section {number}\n\n{'New' if number == changed else 'Old'} text of section number {number}."
        for number in range(sections)
    )
