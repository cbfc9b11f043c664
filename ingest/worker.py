"""The worker: claims jobs from PostgreSQL, one after the other, woken by NOTIFY."""

import asyncio
import logging
import time
from contextlib import suppress
from uuid import UUID

from ingest.attempts import Attempts
from ingest.erasure import Eraser
from ingest.pipeline import Pipeline
from rag_service import logs
from rag_service.db.engine import Database
from rag_service.db.models import Job
from rag_service.db.repositories.jobs import Jobs
from rag_service.errors import Unavailable

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
"""How often the queue is looked at without being woken: for retries that fall due and leases that run out."""

GATHER_SECONDS = 0.05
"""How long a worker that is busy waits before it claims more: jobs that end together are followed by one claim."""

ERASE_PAUSE_SECONDS = 1.0
"""Least pause before it is looked again for what was deleted: a worker is also woken for each of many uploads."""


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
        self._attempts = Attempts(database, pipeline, most=attempts)
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
            await self._attempts.make(job)
        finally:
            logs.context.set(None)
