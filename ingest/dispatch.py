"""Telling Celery of the jobs that are due.

The table of jobs is the queue; what lies in Redis are hints. One that is lost is sent again, one too many does nothing.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.jobs import Jobs
from rag_service.errors import Unavailable

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
"""How often jobs are looked for without being woken: for retries that fall due, leases that run out, lost messages."""

AHEAD = 100
"""Messages that lie waiting at most. The rest stays in the table, where nothing can be lost."""

TAKEN_WITHIN = timedelta(seconds=2)
"""A message that is not waiting any more has reached a worker within this time, or was lost."""

AGAIN_AFTER = timedelta(seconds=30)
"""After this time a message is sent again, though others are waiting that it may be among."""


class Broker(Protocol):
    """Where messages to Celery's workers wait. Calls block; both raise Unavailable when it does not answer."""

    def waiting(self) -> int:
        """How many messages wait for a worker."""
        ...

    def send(self, job_ids: Sequence[UUID]) -> None:
        """A message for each of these jobs."""
        ...


class Dispatcher:
    """Sends jobs to Celery's workers. Every worker has one; none of them is needed in particular."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for jobs now."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due for ever, through outages of database and broker; cancel to stop."""
        away = False
        while True:
            self._woken.clear()
            try:
                await self.dispatch()
                away = False
            except Unavailable as error:
                if not away:  # said once an outage
                    logger.warning("jobs cannot be sent to Celery yet", extra={"reason": error.detail})
                away = True
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._woken.wait()

    async def dispatch(self) -> list[UUID]:
        """Send the jobs that are due, as far as there is room; those that were sent.

        Raises:
            Unavailable: database or broker does not answer; what was not sent counts as not sent.
        """
        waiting = await asyncio.to_thread(self._broker.waiting)
        if waiting >= AHEAD:
            return []
        again_after = AGAIN_AFTER if waiting else TAKEN_WITHIN
        async with self._database.transaction() as session:
            job_ids = await Jobs(session).dispatch(limit=AHEAD - waiting, again_after=again_after)
        if not job_ids:
            return []
        try:
            await asyncio.to_thread(self._broker.send, job_ids)  # after the commit: a worker may be quicker
        except Unavailable:
            async with self._database.transaction() as session:
                await Jobs(session).undo_dispatch(job_ids)
            raise
        return job_ids
