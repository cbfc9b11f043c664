"""The worker: claims jobs from PostgreSQL, one after the other, woken by NOTIFY."""

import asyncio
import logging
import random
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ingest.erasure import Eraser
from ingest.housekeeping import keep_house
from ingest.pipeline import Pipeline
from ingest.sandbox import Extractor
from ingest.urls import UrlFetcher
from ingest.webhooks import deliver
from rag_service import logs
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.listening import listen
from rag_service.db.migrate import migrate
from rag_service.db.models import Job
from rag_service.db.repositories.jobs import JOBS_CHANNEL, Jobs, LostLease
from rag_service.errors import EmbeddingModelMismatch, NotFound, RagError, Unavailable, UnreadableDocument
from rag_service.knowledge.embeddings import Embedder, load_embedder
from rag_service.knowledge.stale import enter_as_stale
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
"""How often the queue is looked at without being woken: for retries that fall due and leases that run out."""

GATHER_SECONDS = 0.05
"""How long a worker that is busy waits before it claims more: jobs that end together are followed by one claim."""

ERASE_PAUSE_SECONDS = 1.0
"""Least pause before it is looked again for what was deleted: a worker is also woken for each of many uploads."""

MISMATCH_DELAY = timedelta(seconds=10)
"""When a job is looked at again that this worker's embedding model was not right for."""

NICENESS = 5
"""Of embedding: questions go first. The rest of the worker gives way to nobody, or leases would run out."""

READERS = 2
"""Files that are read at the same time, each in a process: while one is, others wait and embed."""

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
OUTAGE_LIMIT = timedelta(days=1)


class Worker:
    """Runs jobs until it is told to stop, up to `at_once` together. A job that was begun is finished or handed back."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        *,
        attempts: int,
        at_once: int = 1,
        keep_quotes: bool = False,
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._attempts = attempts
        self._at_once = at_once
        self._eraser = Eraser(database, pipeline.vectors, pipeline.blobs, keep_quotes=keep_quotes)
        self._woken = asyncio.Event()
        self._erasing = asyncio.Event()
        self._some_lost = False
        self._lost_looked_up = 0.0
        self._running: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at the queue now, and for what is to be erased."""
        self._woken.set()
        self._erasing.set()

    async def run(self, *, claim: bool = True) -> None:
        """Do jobs, and erase what was deleted, for ever; cancel to stop. Jobs under way are then handed back.

        Without `claim` nothing but erasing is done: others say which jobs.
        """
        eraser = asyncio.create_task(self._erase())
        try:
            while True:
                self._woken.clear()
                for job in await self._next() if claim else ():
                    self._begin(job)
                await self._until_there_may_be_more()
        finally:
            under_way = [eraser, *self._running]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def run_one(self, job_id: UUID | None = None) -> bool:
        """Do the next job that is due, or that one; False if there is none, or it is not due."""
        for job in await (self._claim(1) if job_id is None else self._claim_that(job_id)):
            await self._do(job)
            return True
        return False

    async def erase_one(self) -> bool:
        """Erase the next thing that was deleted; False if there is none."""
        return await self._eraser.run_one()

    async def _next(self) -> list[Job]:
        free = self._at_once - len(self._running)
        if free == 0:
            return []
        try:
            return await self._claim(free)
        except Unavailable as error:
            logger.warning("the queue cannot be read", extra={"reason": error.detail})
            return []

    async def _claim(self, limit: int) -> list[Job]:
        """Jobs to do. One that a worker died over is done alone: were it to blame, no other would suffer with it."""
        async with self._database.transaction() as session:
            jobs = Jobs(session)
            if not await self._is_any_lost(jobs):
                return await jobs.claim(lease=self._pipeline.lease, limit=limit)
            if self._running:
                return []
            lost = await jobs.claim_lost(lease=self._pipeline.lease)
            return [lost] if lost else []

    async def _claim_that(self, job_id: UUID) -> list[Job]:
        async with self._database.transaction() as session:
            return await Jobs(session).claim_that(job_id, lease=self._pipeline.lease)

    async def _is_any_lost(self, jobs: Jobs) -> bool:
        """Looked up once a second: leases run out by the clock alone."""
        if time.monotonic() > self._lost_looked_up + 1:
            self._some_lost = await jobs.is_any_lost()
            self._lost_looked_up = time.monotonic() if not self._some_lost else 0.0
        return self._some_lost

    def _begin(self, job: Job) -> None:
        task = asyncio.create_task(self._do(job))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()

    async def _until_there_may_be_more(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_SECONDS):
                await self._woken.wait()
                if self._running:
                    await asyncio.sleep(GATHER_SECONDS)

    async def _erase(self) -> None:
        while True:
            self._erasing.clear()
            try:
                while await self._eraser.run_one():
                    pass
            except Unavailable as error:
                logger.warning("what was deleted cannot be erased yet", extra={"reason": error.detail})
            await asyncio.sleep(ERASE_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._erasing.wait()

    async def _do(self, job: Job) -> None:
        logs.context.set({"job_id": str(job.id)})
        try:
            await self._attempt(job)
        finally:
            logs.context.set(None)

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
            await self._later(job, error)
        except asyncio.CancelledError:
            # Told to stop: another worker, or our next start, takes the job over at once.
            with suppress(TimeoutError, Unavailable):  # its lease runs out by itself
                async with asyncio.timeout(3):
                    await self._hand_back(
                        job, timedelta(0), "worker_stopped", "The worker was stopped.", counts=False
                    )
            raise
        except Exception:
            # A fault of ours, which the log has all of: it must not take the other jobs down with it.
            logger.exception("job failed unexpectedly")
            await self._again(job, RagError("Something went wrong on our side; it was logged."))

    async def _later(self, job: Job, error: Unavailable) -> None:
        """Try again when what we depend on may be back: not the file's fault, so the attempt does not count.

        The longer it has lasted, the longer the pause; after a day it is given up.
        """
        since = datetime.now(UTC) - (job.started_at or job.created_at)
        if since > OUTAGE_LIMIT:
            await self._end(job, "quarantined", error.code, error.detail)
            return
        seconds = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, since.total_seconds())) * _jitter()
        await self._hand_back(job, timedelta(seconds=seconds), error.code, error.detail, counts=False)

    async def _again(self, job: Job, error: RagError) -> None:
        if job.attempts >= self._attempts:
            await self._end(job, "quarantined", error.code, error.detail)
            return
        pause = timedelta(seconds=FIRST_PAUSE_SECONDS * 2.0 ** (job.attempts - 1) * _jitter())
        await self._hand_back(job, pause, error.code, error.detail)

    async def _hand_back(
        self, job: Job, after: timedelta, code: str, detail: str, *, counts: bool = True
    ) -> None:
        with _unless_lost(), suppress(LostLease):
            async with self._database.transaction() as session:
                await Jobs(session).hand_back(job, after=after, code=code, detail=detail, counts=counts)
            logger.warning("job handed back", extra={"reason": detail})

    async def _end(self, job: Job, state: str, code: str, detail: str) -> None:
        with _unless_lost(), suppress(LostLease):
            async with self._database.transaction() as session:
                await Jobs(session).finish(job, state, code=code, detail=detail)
                if state != "cancelled":  # a deleted document is erased as a whole
                    await enter_as_stale(session, job)
            logger.warning("job %s", state, extra={"code": code, "reason": detail})


@contextmanager
def _unless_lost() -> Iterator[None]:
    """Without its database a job's end cannot be told: its lease runs out, and it is taken over."""
    try:
        yield
    except Unavailable as error:
        logger.warning("a job's end could not be written down", extra={"reason": error.detail})


def _jitter() -> float:
    return random.uniform(0.75, 1.25)  # noqa: S311 - to spread retries, not a secret


async def run_worker(settings: Settings) -> None:
    """The worker's process: load the model, wait for the database, work until SIGTERM or Ctrl-C."""
    logs.configure(settings.log_level)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await until_stopped(stop, _work(settings))


async def _work(settings: Settings) -> None:
    """Until cancelled, at whatever point: a database that does not answer must not keep the process from ending."""
    async with ready_worker(settings) as ready:
        logger.info("worker ready")
        never = asyncio.Event()
        await until_stopped(
            never,
            ready.worker.run(),
            listen(ready.database, JOBS_CHANNEL, ready.worker.wake),
            *chores(ready, settings),
        )


def _extractor(settings: Settings) -> Extractor:
    return Extractor(
        seconds=settings.extract_seconds,
        memory_mb=settings.extract_memory_mb,
        cpu_seconds=settings.extract_cpu_seconds,
        text_mb=settings.extract_text_mb,
        rows=settings.extract_rows,
        ocr_languages=settings.ocr_languages,
        children=READERS,
    )


@dataclass(frozen=True)
class Ready:
    """A worker with all it needs, and the database it works on."""

    worker: Worker
    database: Database
    blobs: BlobStore


@asynccontextmanager
async def ready_worker(settings: Settings) -> AsyncIterator[Ready]:
    """A worker whose model is loaded and whose database has the schema of this version.

    Raises:
        ConfigurationError: an address is missing, or the schema is newer than this version.
        Unavailable: the database does not answer.
    """
    settings = settings.connected()
    assert settings.database_url and settings.chroma_url  # noqa: S101 - connected() promises both
    url = settings.database_url.get_secret_value()
    database = Database(url, pool=settings.worker_jobs + 4, application="rag-worker")
    try:
        loading: asyncio.Task[Embedder] = asyncio.create_task(
            asyncio.to_thread(load_embedder, settings, niceness=NICENESS)
        )
        await migrate(database)
        embedder = await loading
        # The first batch is slow, as the precision is measured with it: better now than in the first job.
        await embedder.embed_texts(["warm up"])
        async with _extractor(settings) as extractor:
            pipeline = Pipeline(
                database=database,
                blobs=BlobStore(settings.blob_dir),
                vectors=ChromaIndex(settings.chroma_url),
                embedder=embedder,
                extractor=extractor,
                chunk_tokens=settings.chunk_tokens,
                lease=timedelta(seconds=settings.job_lease_seconds),
            )
            worker = Worker(
                database,
                pipeline,
                attempts=settings.job_attempts,
                at_once=settings.worker_jobs,
                keep_quotes=settings.keep_quotes,
            )
            yield Ready(worker, database, pipeline.blobs)
    finally:
        await database.close()


def chores(ready: Ready, settings: Settings) -> list[Coroutine[Any, Any, None]]:
    """What every worker does beside its jobs: telling of their ends, fetching what is due, keeping house."""
    return [
        deliver(ready.database, settings),
        UrlFetcher(ready.database, ready.blobs, settings).run(),
        keep_house(ready.database, ready.blobs, audit_days=settings.audit_days),
    ]


async def until_stopped(stop: asyncio.Event, *work: Coroutine[Any, Any, None]) -> None:
    """Do all of it until `stop` is set, or one of them fails: then the rest is cancelled, and the failure raised."""
    tasks = [asyncio.create_task(item) for item in work]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in [*tasks, stopped]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
