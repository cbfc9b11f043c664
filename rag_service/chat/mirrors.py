"""Runs that another process makes, or that ended: read from PostgreSQL, and followed as if they were made here."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from rag_service.chat.events import from_json
from rag_service.chat.runs import Run
from rag_service.db.engine import Database
from rag_service.db.repositories.runs import Batch, Runs
from rag_service.errors import DatabaseUnavailable

LOOK_SECONDS = 0.2
AWAY_SECONDS = 1.0
LOOK_TIMEOUT = 5.0
NOTE_SECONDS = 2.0
"""How often the makers of the runs are told that they are followed."""

logger = logging.getLogger(__name__)


class Mirrors:
    """One query looks for news of all that are followed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followed: set[Run] = set()
        self._wanted = asyncio.Event()
        self._noted = 0.0
        self._is_closed = False

    async def get(self, run_id: UUID, owner: str) -> Run | None:
        """A run of this caller's with all it has told so far; None where there is none.

        Raises:
            DatabaseUnavailable
        """
        async with self._database.transaction() as session:
            found = await Runs(session).get(run_id, owner)
            batches = await Runs(session).events({run_id: 0}) if found is not None else []
            await Runs(session).note_followers([run_id] if found is not None else [])
        if found is None:
            return None
        run = Run(found.id, found.conversation_id, found.message_id, grace=0, abandoned=self._forget)
        _tell(run, batches)
        if self._is_closed:
            run.close()
        elif not run.has_ended:
            self._followed.add(run)
            self._wanted.set()
        return run

    def close(self) -> None:
        """End all following here, and that of whoever comes later at once."""
        self._is_closed = True
        for run in self._followed:
            run.close()

    async def follow(self) -> None:
        """Look for news for ever."""
        while True:
            await self._wanted.wait()
            pause = LOOK_SECONDS
            try:
                await self._look()
            except (DatabaseUnavailable, TimeoutError):
                pause = AWAY_SECONDS
            except Exception:
                # A fault of ours: were this to end with it, every reader of these runs would wait for ever.
                logger.exception("runs of other processes could not be followed")
                pause = AWAY_SECONDS
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        runs = list(self._followed)
        if not runs:
            self._wanted.clear()
            return
        seen: dict[UUID, int] = {}
        for run in runs:
            seen[run.id] = min(seen.get(run.id, run.last), run.last)
        async with asyncio.timeout(LOOK_TIMEOUT), self._database.transaction() as session:
            known = await Runs(session).known(list(seen))
            if time.monotonic() - self._noted > NOTE_SECONDS:
                await Runs(session).note_followers(list(seen))
                self._noted = time.monotonic()
            batches = await Runs(session).events(seen)
        news = defaultdict[UUID, list[Batch]](list)
        for batch in batches:
            news[batch.run_id].append(batch)
        for run in runs:
            _tell(run, news[run.id])
            if run.id not in known:
                run.close()  # its conversation was deleted
            if run.has_ended or run.id not in known:
                self._forget(run)

    def _forget(self, run: Run) -> None:
        self._followed.discard(run)


def _tell(run: Run, batches: Sequence[Batch]) -> None:
    """Publish what of these batches, which may overlap, was not told yet."""
    for batch in batches:
        for number, event in enumerate(from_json(batch.events), start=batch.first):
            if number > run.last:
                run.publish(event, number)
