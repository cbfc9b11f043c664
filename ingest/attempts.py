"""One attempt at a job, and what becomes of the job after it: ended, handed back, or tried again later."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from ingest.pipeline import Pipeline
from rag_service.db.engine import Database
from rag_service.db.models import Job
from rag_service.db.repositories.jobs import Jobs, LostLease
from rag_service.errors import EmbeddingModelMismatch, NotFound, RagError, Unavailable, UnreadableDocument
from rag_service.knowledge.stale import enter_as_stale

logger = logging.getLogger(__name__)

MISMATCH_DELAY = timedelta(seconds=10)
"""When a job is looked at again that this worker's embedding model was not right for."""

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
OUTAGE_LIMIT = timedelta(days=1)


class Attempts:
    def __init__(self, database: Database, pipeline: Pipeline, *, most: int) -> None:
        """`most` attempts a job may have."""
        self._database = database
        self._pipeline = pipeline
        self._attempts = most

    async def make(self, job: Job) -> None:
        """Run a job once, and write down how that ended; raises nothing but CancelledError."""
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
