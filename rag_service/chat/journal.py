"""Writes to PostgreSQL what runs tell, a moment behind them: no token waits for it, and it holds no token up."""

import asyncio
import logging
import time
from collections.abc import Sequence

from rag_service.chat.events import TERMINAL, Done, Event, Failed, to_json
from rag_service.chat.runs import Run
from rag_service.db.engine import Database
from rag_service.db.repositories.runs import Batch, Runs
from rag_service.errors import DatabaseUnavailable

BATCH_SECONDS = 0.1
SHARE = 4
"""Writing rests so many times longer than it took: it leaves most of a busy process to the streams themselves."""
RETRY_SECONDS = 0.5
WRITE_SECONDS = 5.0
LONGEST_REST_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Journal:
    """What is not written yet lies in the runs themselves: a database that is away costs no memory beside them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._behind: set[Run] = set()
        self._wanted = asyncio.Event()

    def note(self, run: Run) -> None:
        """The run has told something."""
        self._behind.add(run)
        self._wanted.set()

    def forget(self, run: Run) -> None:
        """The run's end was stored, and all before it."""
        self._behind.discard(run)

    async def write(self) -> None:
        """Write for ever, a batch of all runs at a time."""
        took = 0.0
        while True:
            await self._wanted.wait()
            await asyncio.sleep(max(BATCH_SECONDS, min(SHARE * took, LONGEST_REST_SECONDS)))
            self._wanted.clear()
            runs = list(self._behind)
            self._behind.clear()
            began = time.perf_counter()
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._store([run for run in runs if run.stored < len(run.events)])
            except (DatabaseUnavailable, TimeoutError):
                self._behind.update(run for run in runs if not run.has_ended)
                self._wanted.set()
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # A fault of ours: were the journal to end with it, no later turn could be resumed. What was not
                # written is part of the next batch of its run, and of its end.
                logger.exception("events could not be written")
            took = time.perf_counter() - began

    async def _store(self, runs: Sequence[Run]) -> None:
        if not runs:
            return
        batches = [(run, unwritten(run)) for run in runs]
        batches = [(run, batch) for run, batch in batches if batch.first <= batch.last]
        async with self._database.transaction() as session:
            await Runs(session).store([batch for _, batch in batches])
        for run, batch in batches:
            run.stored = max(run.stored, batch.last)


def unwritten(run: Run, end: Done | Failed | None = None) -> Batch:
    """The events of a run that PostgreSQL does not have: all but the end, or with it where that is about to be saved
    in the same transaction."""
    told: list[Event] = [event for event in run.events[run.stored :] if not isinstance(event, TERMINAL)]
    if end is not None:
        told.append(end)
    return Batch(run.id, run.stored + 1, run.stored + len(told), to_json(told))
