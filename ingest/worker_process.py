"""The worker's process: its model loaded, its database ready, its chores beside the jobs; until it is told to stop."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ingest.housekeeping import keep_house
from ingest.pipeline import Pipeline
from ingest.sandbox import Extractor
from ingest.urls import UrlFetcher
from ingest.webhooks import deliver
from ingest.worker import Worker
from rag_service import logs
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.listening import listen
from rag_service.db.migrate import migrate
from rag_service.db.repositories.jobs import JOBS_CHANNEL
from rag_service.knowledge.embeddings import Embedder, load_embedder
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

NICENESS = 5
"""Of embedding: questions go first. The rest of the worker gives way to nobody, or leases would run out."""

READERS = 2
"""Files that are read at the same time, each in a process: while one is, others wait and embed."""


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
