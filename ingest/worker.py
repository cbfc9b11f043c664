"""The worker: claims jobs from PostgreSQL, one after the other, woken by NOTIFY."""

import asyncio
import logging
import random
import signal
from contextlib import suppress
from datetime import timedelta

import asyncpg
from sqlalchemy.engine import make_url

from ingest.erasure import Eraser
from ingest.pipeline import Pipeline
from ingest.sandbox import Extractor
from rag_service import logs
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.migrate import migrate
from rag_service.db.models import Job
from rag_service.db.repositories.documents import JOBS_CHANNEL, Documents
from rag_service.db.repositories.jobs import Jobs, LostLease
from rag_service.errors import EmbeddingModelMismatch, NotFound, RagError, Unavailable, UnreadableDocument
from rag_service.knowledge.embeddings import Embedder, load_embedder
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
"""How often the queue is looked at without being woken: for retries that fall due and leases that run out."""

MISMATCH_DELAY = timedelta(seconds=10)
"""When a job is looked at again that this worker's embedding model was not right for."""


class Worker:
    """Runs jobs until it is told to stop. A job that was begun is finished or handed back."""

    def __init__(self, database: Database, pipeline: Pipeline, *, attempts: int) -> None:
        self._database = database
        self._pipeline = pipeline
        self._attempts = attempts
        self._eraser = Eraser(database, pipeline.vectors, pipeline.blobs)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the queue now."""
        self._woken.set()

    async def run(self) -> None:
        """Claim and do jobs for ever; cancel to stop. A job under way is then handed back."""
        while True:
            self._woken.clear()
            try:
                while await self.run_one() or await self.erase_one():
                    pass
            except Unavailable as error:
                logger.warning("the queue cannot be read", extra={"reason": error.detail})
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._woken.wait()

    async def run_one(self) -> bool:
        """Do the next job that is due; False if there is none."""
        async with self._database.transaction() as session:
            job = await Jobs(session).claim(lease=self._pipeline.lease)
        if job is None:
            return False
        logs.context.set({"job_id": str(job.id)})
        try:
            await self._attempt(job)
        finally:
            logs.context.set(None)
        return True

    async def erase_one(self) -> bool:
        """Erase the next deleted document; False if there is none."""
        return await self._eraser.erase_one()

    async def _attempt(self, job: Job) -> None:
        if job.attempts > self._attempts:
            await self._end(
                job,
                "quarantined",
                "too_many_attempts",
                f"Gave up after {self._attempts} attempts: each time the worker died over this file.",
            )
            return
        try:
            await self._pipeline.run(job)
            logger.info("job succeeded")
        except LostLease:
            logger.warning("job lost to another worker, or cancelled")
        except UnreadableDocument as error:
            await self._end(job, "failed", error.code, error.detail)
        except NotFound:
            await self._end(job, "cancelled", "document_deleted", "The document was deleted.")
        except EmbeddingModelMismatch as error:
            # Not the file's fault: a worker with the right model takes it up, or this one after a reindex.
            await self._hand_back(job, MISMATCH_DELAY, error.code, error.detail, counts=False)
        except Unavailable as error:
            await self._again(job, error)
        except asyncio.CancelledError:
            # Told to stop: another worker, or our next start, takes the job over at once.
            with suppress(TimeoutError, Unavailable):  # its lease runs out by itself
                async with asyncio.timeout(3):
                    await self._hand_back(
                        job, timedelta(0), "worker_stopped", "The worker was stopped.", counts=False
                    )
            raise

    async def _again(self, job: Job, error: RagError) -> None:
        if job.attempts >= self._attempts:
            await self._end(job, "quarantined", error.code, error.detail)
            return
        seconds = 2.0**job.attempts * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
        await self._hand_back(job, timedelta(seconds=seconds), error.code, error.detail)

    async def _hand_back(
        self, job: Job, after: timedelta, code: str, detail: str, *, counts: bool = True
    ) -> None:
        with suppress(LostLease):
            async with self._database.transaction() as session:
                await Jobs(session).hand_back(job, after=after, code=code, detail=detail, counts=counts)
            logger.warning("job handed back", extra={"reason": detail})

    async def _end(self, job: Job, state: str, code: str, detail: str) -> None:
        with suppress(LostLease):
            async with self._database.transaction() as session:
                await Jobs(session).finish(job, state, code=code, detail=detail)
                await Documents(session).mark_failed(job.version_id)
            logger.warning("job %s", state, extra={"code": code, "reason": detail})


async def _until_lost(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    await lost.wait()


async def listen(url: str, worker: Worker) -> None:
    """Wake the worker whenever a job is entered; reconnects for ever."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(plain, timeout=5)
            try:
                await connection.add_listener(JOBS_CHANNEL, lambda *_: worker.wake())
                worker.wake()
                await _until_lost(connection)
            finally:
                await connection.close(timeout=2)
        await asyncio.sleep(1)


async def run_worker(settings: Settings) -> None:
    """The worker's process: load the model, wait for the database, work until SIGTERM or Ctrl-C."""
    logs.configure(settings.log_level)
    settings = settings.connected()
    assert settings.database_url and settings.chroma_url  # noqa: S101 - connected() promises both
    url = settings.database_url.get_secret_value()
    database = Database(url, pool=4, application="rag-worker")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        loading: asyncio.Task[Embedder] = asyncio.create_task(asyncio.to_thread(load_embedder, settings))
        await migrate(database)
        embedder = await loading
        # The first batch is slow, as the precision is measured with it: better now than in the first job.
        await embedder.embed_texts(["warm up"])
        async with Extractor(
            seconds=settings.extract_seconds, memory_mb=settings.extract_memory_mb
        ) as extractor:
            pipeline = Pipeline(
                database=database,
                blobs=BlobStore(settings.blob_dir),
                vectors=ChromaIndex(settings.chroma_url),
                embedder=embedder,
                extractor=extractor,
                chunk_tokens=settings.chunk_tokens,
                lease=timedelta(seconds=settings.job_lease_seconds),
            )
            worker = Worker(database, pipeline, attempts=settings.job_attempts)
            logger.info("worker ready")
            tasks = [asyncio.create_task(worker.run()), asyncio.create_task(listen(url, worker))]
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in [*tasks, stopped]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result
    finally:
        await database.close()
