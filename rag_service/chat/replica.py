"""This api process among others: it is known to live, is told which of its runs to stop, and ends those of the dead.

A process that lives holds a lock in PostgreSQL by its name. The lock goes with its connection, at the moment that the
process dies. As it goes too when only the connection is lost, and comes back within a second or two then, a process
counts as dead once its lock has been free for some seconds; at once if it ran on this machine and is not there.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import psutil

from rag_service.chat.endings import Endings
from rag_service.db.engine import Database
from rag_service.db.listening import listen
from rag_service.db.repositories.runs import STOP_CHANNEL, Runs, lock_key
from rag_service.errors import DatabaseUnavailable

LOOK_SECONDS = 1.0
DEAD_SECONDS = 5.0
KEEP = timedelta(hours=1)
"""How long after its end a run can still be read again."""
CLEAN_SECONDS = 60.0
LOST = timedelta(minutes=1)
"""A run that was entered so long ago is being made, or never will be."""

# A machine that lost its power closes no connection: without this PostgreSQL would believe in it for two hours.
_KEEPALIVE = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3"

logger = logging.getLogger(__name__)


class Replica:
    """`stop` is called with the id of each of its runs that somebody wants stopped; `own` tells those it makes."""

    def __init__(
        self,
        database: Database,
        *,
        stop: Callable[[UUID], None],
        own: Callable[[], Collection[UUID]],
        keep_quotes: bool,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{_born(os.getpid())}:{secrets.token_hex(4)}"
        self._database = database
        self._stop = stop
        self._own = own
        self._keep_quotes = keep_quotes
        self._told = asyncio.Event()
        self._free_since: dict[str, float] = {}

    async def live(self) -> None:
        """Hold the lock, and hear of stops, for ever."""
        await listen(self._database, STOP_CHANNEL, self._told.set, greet=self._hold_lock)

    async def _hold_lock(self, connection: Any) -> None:
        await connection.execute(_KEEPALIVE)
        # Waits for a process that looks whether we live.
        await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", lock_key(self.name))

    async def look(self) -> None:
        """Do what is to be done, for ever: stop runs as soon as it is told, and every second, as word of it may be
        lost with a connection; and look for the dead."""
        cleaned = time.monotonic()
        while True:
            try:
                await self._stop_runs()
                await self._stop_those_of_revoked_keys()
                await self.bury_the_dead()
                if time.monotonic() - cleaned > CLEAN_SECONDS:
                    cleaned = time.monotonic()
                    await self.end_the_lost()
                    async with self._database.transaction() as session:
                        await Runs(session).clean(KEEP)
            except (DatabaseUnavailable, TimeoutError):
                self._free_since.clear()  # who could see nothing has not seen a lock free all the time
            except Exception:
                # A fault of ours: the next round may do better, and without it no run could be stopped from afar.
                logger.exception("runs could not be looked after")
            await self._until_told(LOOK_SECONDS)

    async def _until_told(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return

    async def _stop_runs(self) -> None:
        self._told.clear()
        async with self._database.reading() as session:
            for run_id in await Runs(session).to_stop(self.name):
                self._stop(run_id)

    async def _stop_those_of_revoked_keys(self) -> None:
        """Whoever reads such a run, on any server, is told by its end that the key counts no more."""
        async with self._database.reading() as session:
            for run_id in await Runs(session).of_revoked_keys(self.name):
                self._stop(run_id)

    async def bury_the_dead(self) -> None:
        """End the runs of processes that died. Raises DatabaseUnavailable."""
        async with self._database.transaction() as session:
            free = await Runs(session).free_replicas(but=self.name)
        now = time.monotonic()
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        for name, since in self._free_since.items():
            if now - since >= DEAD_SECONDS or _is_gone(name):
                count = 0
                while await self._end_one(name):
                    count += 1
                if count:  # else another process was quicker, or it holds its lock again
                    logger.warning("answers were cut short by the end of a process", extra={"count": count})

    async def end_the_lost(self) -> None:
        """End runs of this process that it does not make: the database went away as they were entered, and had entered
        them. Raises DatabaseUnavailable."""
        async with self._database.transaction() as session:
            for run in await Runs(session).lost(self.name, but=self._own(), age=LOST):
                await Endings(session, keep_quotes=self._keep_quotes).interrupt(run)

    async def _end_one(self, name: str) -> bool:
        async with self._database.transaction() as session:
            runs = Runs(session)
            run = await runs.next_of(name) if await runs.claim(name) else None
            if run is None:
                return False
            await Endings(session, keep_quotes=self._keep_quotes).interrupt(run)
            return True


def _is_gone(name: str) -> bool:
    """Whether it ran on this machine and does not any more."""
    host, pid, born, _ = name.rsplit(":", 3)
    # The number alone says nothing: in a container every process that is started has that of the one before.
    return host == socket.gethostname() and _born(int(pid)) != int(born)


def _born(pid: int) -> int:
    """When a process of this machine was started, in milliseconds since the machine was; 0 where there is none.

    By the time of day, which is set right now and then, a process that lives would seem to be another one.
    """
    try:
        return round(1000 * (psutil.Process(pid).create_time() - psutil.boot_time()))
    except psutil.NoSuchProcess:
        return 0
