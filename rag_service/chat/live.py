"""Runs as a process has them: those it makes, driven to a saved end, and those of others that are read along."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from uuid import UUID

from rag_service.chat.endings import INTERRUPTED, Ending, Endings
from rag_service.chat.events import Done, Event, Failed, Start, to_json
from rag_service.chat.journal import Journal, unwritten
from rag_service.chat.mirrors import Mirrors
from rag_service.chat.replica import Replica
from rag_service.chat.runs import Run
from rag_service.chat.turn import Record, Turn, rounded
from rag_service.db.caller import may_see
from rag_service.db.engine import Database
from rag_service.db.repositories.runs import Batch, Runs
from rag_service.errors import DatabaseUnavailable, NotFound, RagError, Unavailable

SAVE_SECONDS = 5.0
"""How long the end of a turn waits until it is saved. Behind that it is told all the same, and saved when it can be."""

RETRY_SECONDS = 0.3
LONGEST_RETRY_SECONDS = 5.0

logger = logging.getLogger(__name__)

Chain = Callable[[Turn], AsyncGenerator[Event, None]]


class LiveRuns:
    """`chain` makes the events of a turn; nobody has to follow a run for `grace` seconds until it is stopped.

    `completed` is told of each turn whose answer was completed and saved.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        *,
        completed: Callable[[Turn], None],
        grace: float,
        keep_quotes: bool,
    ) -> None:
        self._database = database
        self._chain = chain
        self._completed = completed
        self._grace = grace
        self._keep_quotes = keep_quotes
        self._own: dict[UUID, tuple[Run, Turn]] = {}
        self._journal = Journal(database)
        self._mirrors = Mirrors(database)
        self._replica = Replica(database, stop=self._stop_own, own=self._own.keys, keep_quotes=keep_quotes)
        self._asking: set[asyncio.Task[None]] = set()
        self.is_closing = False
        """No more turns are begun."""

    @property
    def replica(self) -> str:
        """The name under which this process makes runs."""
        return self._replica.name

    def check_open(self) -> None:
        """Raises Unavailable where no more turns are begun."""
        if self.is_closing:
            raise Unavailable("This server is being stopped; try again in a moment.", code="shutting_down")

    async def start(self, run_id: UUID, turn: Turn) -> Run:
        """Set a turn going that was entered in the database as this replica's."""
        run = Run(run_id, turn.conversation_id, turn.message_id, grace=self._grace, abandoned=self._abandoned)
        run.publish(Start(run.id, run.conversation_id, run.message_id))
        self._own[run.id] = (run, turn)
        # Kept in the run: the event loop itself only holds a task weakly.
        run.task = asyncio.create_task(self._drive(run, turn))
        run.task.add_done_callback(lambda _: self._own.pop(run.id, None))
        await asyncio.sleep(0)  # a task that is cancelled before its first step would save nothing
        if self.is_closing:
            run.stop("interrupted")
        return run

    async def follow(self, owner: str, run_id: UUID) -> Run:
        """A run of this caller's, wherever it is made. Raises NotFound where there is none, or it is another's."""
        run = self._mine(owner, run_id) or await self._mirrors.get(run_id, owner)
        if run is None:
            raise NotFound("There is no such turn.", code="run_not_found")
        return run

    async def stop(self, owner: str, run_id: UUID) -> None:
        """Stop a turn of this caller's, wherever it is made; what was said of it so far is saved as stopped.

        Raises:
            NotFound: none is under way, or it is another's.
        """
        if run := self._mine(owner, run_id):
            run.stop()
            return
        async with self._database.transaction() as session:
            if not await Runs(session).request_stop(run_id, owner):
                raise NotFound("There is no such turn under way.", code="run_not_found")

    def _mine(self, owner: str, run_id: UUID) -> Run | None:
        run, turn = self._own.get(run_id, (None, None))
        is_theirs = turn is not None and turn.owner == owner and may_see(turn.knowledge_base_id)
        return run if is_theirs else None

    def _stop_own(self, run_id: UUID) -> None:
        if run_id in self._own:
            self._own[run_id][0].stop()

    async def end_those_of_the_dead(self) -> None:
        """Look once for runs that nobody makes, and end them. Raises DatabaseUnavailable."""
        await self._replica.bury_the_dead()
        await self._replica.end_the_lost()

    def _abandoned(self, run: Run) -> None:
        task = asyncio.create_task(self._stop_unless_followed(run))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _stop_unless_followed(self, run: Run) -> None:
        try:
            async with self._database.transaction() as session:
                followed = await Runs(session).is_followed(run.id)
        except DatabaseUnavailable:
            followed = True  # it may be; asked again in a while
        if followed:
            run.wait_for_followers(max(self._grace, RETRY_SECONDS))
        elif not run.has_followers:
            run.stop()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within the block runs are written down, stopped from afar, and ended for processes that died."""
        work = (self._journal.write(), self._mirrors.follow(), self._replica.live(), self._replica.look())
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield
        finally:
            await self.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self, seconds: float) -> None:
        """Begin no more turns, let those under way end by themselves for so long, and interrupt the others."""
        self.is_closing = True
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=seconds)
        await self.close()

    async def close(self) -> None:
        """Interrupt what is still running, and wait until it is saved."""
        self.is_closing = True
        self._mirrors.close()
        for run, _ in list(self._own.values()):
            run.stop("interrupted")
        if tasks := self._tasks():
            _, late = await asyncio.wait(tasks, timeout=SAVE_SECONDS + 1)
            for task in late:
                task.cancel()  # the database is away: the next process ends them by what was written

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [run.task for run, _ in self._own.values() if run.task is not None]

    async def _drive(self, run: Run, turn: Turn) -> None:
        """Run the chain to its end. However it ends, the answer is saved and one terminal event published."""
        ending = await self._tell(run, turn)
        run.is_ending = True
        turn.record.timings.setdefault("total", turn.record.elapsed())
        try:
            async with asyncio.timeout(SAVE_SECONDS):
                ending = await self._save(run, turn, ending, unwritten(run, ending.event))
            run.publish(ending.event)
            if ending.state == "complete":
                self._completed(turn)
        except TimeoutError:
            logger.warning("a turn waits to be saved", extra={"message_id": str(run.message_id)})
            ending = _UNSAVED if ending.state == "complete" else ending
            last = unwritten(run, ending.event)
            run.publish(ending.event)
            await self._save(run, turn, ending, last)
        finally:
            self._journal.forget(run)

    async def _tell(self, run: Run, turn: Turn) -> Ending:
        """Publish what the chain tells, up to its end: that is given back, since it is saved before it is told."""
        record = turn.record
        try:
            async with aclosing(self._chain(turn)) as events:
                async for event in events:
                    if isinstance(event, Done):
                        return Ending("complete", event)
                    # Here, not in the chain: an event that a cancellation catches on its way is neither told nor kept.
                    record.note(event)
                    run.publish(event)
                    self._journal.note(run)
        except asyncio.CancelledError:
            if run.cut == "interrupted":
                return INTERRUPTED
            record.finish_reason = "stopped"
            done = Done(run.message_id, "stopped", record.model, record.usage, rounded(record.timings))
            return Ending("stopped", done)
        except RagError as error:
            logger.warning("turn failed", extra={"code": error.code, "reason": error.detail})
            return Ending("failed", Failed(error.code, error.detail, error.retryable))
        except Exception:
            # A fault of ours: the caller is told so without its text, and the log has all of it.
            logger.exception("turn failed")
        return _FAULT

    async def _save(self, run: Run, turn: Turn, ending: Ending, last: Batch) -> Ending:
        """Return once the turn is saved, however long the database is away: with the end that it was saved with."""
        try:
            await self._insist(run, turn, turn.record, ending, last)
        except Exception:
            # A fault of ours, most likely in what is to be stored: without that the turn can still be ended.
            logger.exception("a turn could not be saved", extra={"message_id": str(run.message_id)})
        else:
            return ending
        ending = ending if isinstance(ending.event, Failed) else _FAULT
        end = Batch(run.id, last.last, last.last, to_json([ending.event]))
        try:
            await self._insist(run, turn, Record(model=turn.record.model), ending, end)
        except Exception:
            # Its end must still be told. The answer stays in state `streaming` until this process ends.
            logger.exception("a turn could not be ended", extra={"message_id": str(run.message_id)})
        return ending

    async def _insist(self, run: Run, turn: Turn, record: Record, ending: Ending, last: Batch) -> None:
        pause = RETRY_SECONDS
        while True:
            try:
                async with self._database.transaction() as session:
                    endings = Endings(session, keep_quotes=self._keep_quotes)
                    await endings.save(run.id, run.message_id, turn.owner, record, ending, last)
                return
            except DatabaseUnavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)


_FAULT = Ending(
    "failed", Failed(RagError.code, "Something went wrong on our side; it was logged.", retryable=True)
)
_UNSAVED = Ending(
    "failed",
    Failed(
        DatabaseUnavailable.code,
        "The answer could not be saved, since the database does not answer; ask again in a moment.",
        retryable=True,
    ),
)
