"""The worker on an event loop of its own, in a thread beside those of a program that knows no asyncio."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from uuid import UUID

import uvloop

from ingest.dispatch import Broker, Dispatcher
from ingest.worker_process import Ready, chores, ready_worker, until_stopped
from rag_service.db.listening import listen
from rag_service.db.repositories.jobs import JOBS_CHANNEL
from rag_service.errors import Unavailable
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

JOIN_SECONDS = 10.0


class WorkerThread:
    """One loop, one pipeline, one model a process, for as many jobs at once as are given to it."""

    def __init__(self, settings: Settings, broker: Broker, *, failed: Callable[[], None]) -> None:
        """`failed` is called in the thread when it ends without having been told to."""
        self._settings = settings
        self._broker = broker
        self._failed = failed
        self._ready: Future[tuple[asyncio.AbstractEventLoop, Ready]] = Future()
        self._stop = asyncio.Event()
        self._jobs: set[asyncio.Task[bool]] = set()
        self._handing = threading.Lock()
        self._handed: set[Future[None]] = set()
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Returns when jobs can be done. Raises what `ready_worker` raises."""
        self._thread.start()
        self._ready.result()

    def do(self, job_id: UUID) -> None:
        """Do that job if it is due. One that is taken, has ended or is not due yet is passed over.

        When the thread is told to stop, the job is handed back; behind its end, nothing is done.
        """
        loop, ready = self._ready.result()
        with self._handing:
            if self._has_ended:
                return
            done = asyncio.run_coroutine_threadsafe(self._do(ready, job_id), loop)
            self._handed.add(done)
            done.add_done_callback(self._handed.discard)
        with suppress(CancelledError, Unavailable):  # its row tells, and it is sent again
            done.result()

    def stop(self) -> None:
        """Hand back what is under way and take nothing more; may be called from a signal handler."""
        if self._ready.done() and self._thread.is_alive():
            loop, _ = self._ready.result()
            with suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        """Wait until everything is closed."""
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            uvloop.run(self._main())
        except BaseException as error:
            if self._ready.done():
                logger.critical("the worker failed", exc_info=error)
                self._failed()
            else:
                self._ready.set_exception(error)

    async def _main(self) -> None:
        async with ready_worker(self._settings) as ready:
            logger.info("worker ready")
            dispatcher = Dispatcher(ready.database, self._broker)
            self._ready.set_result((asyncio.get_running_loop(), ready))
            try:
                await until_stopped(
                    self._stop,
                    ready.worker.run(claim=False),
                    dispatcher.run(),
                    listen(ready.database, JOBS_CHANNEL, ready.worker.wake, dispatcher.wake),
                    *chores(ready, self._settings),
                )
            finally:
                self._stop.set()
                for job in self._jobs:
                    job.cancel()
                # What is handed to a loop that has run its last round is never begun, and would be waited for for ever.
                with self._handing:
                    self._has_ended = True
                    handed = [asyncio.wrap_future(one) for one in self._handed]
                await asyncio.gather(*handed, return_exceptions=True)

    async def _do(self, ready: Ready, job_id: UUID) -> None:
        if self._stop.is_set():
            return
        job = asyncio.create_task(ready.worker.run_one(job_id))
        self._jobs.add(job)
        try:
            await job
        finally:
            self._jobs.discard(job)
