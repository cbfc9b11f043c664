"""Requests of several jobs made as one: while one is under way, the next ones gather."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rag_service.errors import Unavailable

Asked = TypeVar("Asked")
Got = TypeVar("Got")


@dataclass
class _Waiting(Generic[Asked, Got]):
    asked: Asked
    got: "asyncio.Future[Got]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Gathered(Generic[Asked, Got]):
    """Asks `together`, which answers a list of requests in its order, for all who have come since it was last asked.

    What it answers with an exception is raised to who asked. What it raises itself undoes all of it: then each request
    is made again, alone, unless something that it depends on is away.
    """

    def __init__(
        self,
        together: Callable[[Sequence[Asked]], Awaitable[Sequence[Got | Exception]]],
        *,
        pause: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`pause` tells, before each request is made, for how many seconds others are worth waiting for."""
        self._together = together
        self._pause = pause
        self._waiting: list[_Waiting[Asked, Got]] = []
        self._sender: asyncio.Task[None] | None = None

    async def __call__(self, asked: Asked) -> Got:
        """The answer to one request. Raises whatever `together` raises for it."""
        mine: _Waiting[Asked, Got] = _Waiting(asked)
        self._waiting.append(mine)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await mine.got

    async def _send(self) -> None:
        try:
            while self._waiting:
                if seconds := self._pause():
                    await asyncio.sleep(seconds)
                waiting, self._waiting = self._waiting, []
                await self._answer(waiting)
        finally:
            self._sender = None

    async def _answer(self, waiting: Sequence[_Waiting[Asked, Got]]) -> None:
        try:
            answers = await self._together([one.asked for one in waiting])
        except Exception as error:  # noqa: BLE001 - told to whoever waits, whatever it is
            if len(waiting) > 1 and not isinstance(error, Unavailable):
                # One of them is to blame: the others are not to suffer with it.
                for one in waiting:
                    await self._answer([one])
                return
            for one in waiting:
                if not one.got.done():
                    one.got.set_exception(error)
        else:
            for one, answer in zip(waiting, answers, strict=True):
                if one.got.done():
                    continue
                if isinstance(answer, Exception):
                    one.got.set_exception(answer)
                else:
                    one.got.set_result(answer)
