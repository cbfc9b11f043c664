"""In front of what computes: so many questions are searched for at a time, and few wait."""

import asyncio
import math
import time
from collections import deque
from types import TracebackType
from typing import Self

from rag_service.errors import Overloaded

BURST_SECONDS = 5.0
"""Longest wait where many came at once."""
STANDING_SECONDS = 2.0
QUEUE_SECONDS = 0.15
"""Longest wait while there has been a queue for `STANDING_SECONDS`: one that does not end makes everybody late."""
_NEWEST = 0.2
"""What the last passage counts for in the mean of the seconds that one takes."""


class Gate:
    """Lets `width` in at a time, in order.

    How long one would wait is known from the queue and from what a passage has taken lately; who would wait too long is
    refused at once. A burst may wait seconds. But where somebody comes while a queue has been standing, it is overload:
    those at its end are refused, until no more wait than are let in within moments.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_since = 0.0
        self._taken = 0.05

    async def enter(self) -> "Passage":
        """Raises Overloaded."""
        self.check()
        if self._inside < self._width:
            self._inside += 1
        else:
            await self._turn()
        return Passage(self)

    def check(self) -> None:
        """Raises Overloaded where one who comes now would be refused."""
        if self._inside < self._width:
            return
        if not self._waiting:
            self._waiting_since = time.monotonic()
        patience = BURST_SECONDS
        if time.monotonic() - self._waiting_since > STANDING_SECONDS:
            patience = QUEUE_SECONDS
            self._send_away(patience)
        if self._expected(len(self._waiting) + 1) > patience:
            raise self._refusal()

    async def _turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(BURST_SECONDS):
                await turn
        except (TimeoutError, asyncio.CancelledError) as leaving:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._let_next_in()  # let in at the moment of leaving: the place goes on
            if isinstance(leaving, TimeoutError):
                raise self._refusal() from None
            raise

    def _expected(self, place: int) -> float:
        """Seconds until the one at that place in the queue is let in."""
        return place * self._taken / self._width

    def _refusal(self) -> Overloaded:
        return Overloaded(
            "More questions are asked than can be searched for; ask again in a moment.",
            again_seconds=max(1, math.ceil(self._expected(len(self._waiting)))),
        )

    def _send_away(self, patience: float) -> None:
        while self._waiting and self._expected(len(self._waiting)) > patience:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_exception(self._refusal())

    def leave(self, seconds: float) -> None:
        """Called once by a passage that took so long."""
        self._taken += _NEWEST * (seconds - self._taken)
        self._let_next_in()

    def _let_next_in(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # takes the place over: as many are inside as before
                return
        self._inside -= 1


class Passage:
    """A way through a gate, until it is ended; ended again, nothing happens."""

    def __init__(self, gate: Gate) -> None:
        self._gate: Gate | None = gate
        self._since = time.monotonic()

    def end(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave(time.monotonic() - self._since)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
