"""What is done behind answers, in tasks of its own: no answer waits for it, and some may be left undone."""

import asyncio
from collections.abc import Coroutine, Sequence

from rag_service.chat.turn import Turn
from rag_service.chat.usage import Call, usage_of, with_calls
from rag_service.db.engine import Database
from rag_service.db.repositories.conversations import Conversations

CLOSING_SECONDS = 5


async def charge(database: Database, turn: Turn, calls: Sequence[Call]) -> None:
    """Count what models used behind an answer: against what its caller may use, and with what the answer used.

    Raises:
        NotFound: the answer is gone.
        DatabaseUnavailable
    """
    turn.spend(usage_of(calls).get("total_tokens", 0))
    async with database.transaction() as session:
        answer = await Conversations(session, turn.owner).message(turn.message_id, change=True)
        answer.usage = with_calls(answer.usage, calls)


class Background:
    """Tasks, held until they have ended: the event loop itself only holds them weakly."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Returns at once."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Leave undone what is not done yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_SECONDS)
