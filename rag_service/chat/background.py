"""What is done behind answers, in tasks of its own: no answer waits for it, and some may be left undone."""

import asyncio
from collections.abc import Coroutine

CLOSING_SECONDS = 5


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
