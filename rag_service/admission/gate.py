"""In front of what computes: so many questions are searched for at a time, and few wait."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rag_service.errors import Overloaded

BURST_SECONDS = 1.0
"""Longest wait where many came at once. A queue that has been long for longer is no burst."""
LONG_SECONDS = 0.5
"""A queue is long where its last waits for so long. A shorter one may stand: a few callers who each ask again as soon
as they are answered wait for each other, and none of them is to be refused."""
QUEUE_SECONDS = 0.02
"""Longest wait under overload: a queue that does not end makes everybody late, and nobody is served the sooner."""
OVERLOAD_SECONDS = 5.0
"""Overload has ended when nobody had to be refused for so long."""
AGAIN_SECONDS = 3
"""Whoever is refused comes again within so many seconds, not all at the same moment."""
STRETCH = 1.25
"""How much longer than alone a passage may always take: clocks are not that exact."""
GAIN = 0.3
"""So much longer with each beside it: of three at a time each may then take 1.6 times as long. Where it takes longer,
they mostly wait for each other inside."""
_NARROWER, _WIDER = 0.2, 0.05
"""By how much a passage that took too long narrows the gate, and one that did not widens it."""
_NEWEST = 0.2
"""What the last passage counts for in the mean of the seconds that one takes."""


class Gate:
    """Lets at most `width` in at a time, in order: as many as do not make each other late.

    How long one would wait is known from the queue and from what a passage has taken lately; who would wait too long is
    refused at once, before they wait. A burst may wait a second. Once somebody had to be refused, or a queue stays
    long, it is overload: until that has ended, only those are taken in who wait for moments, and fewer at a time where
    they only wait for each other inside. Those let in are then answered the sooner, and somewhat fewer in all.

    What a passage waits for may be a core, the event loop, or a server far away. So it is not reckoned how many fit:
    it is seen by what passages take beside others and alone.
    """

    def __init__(self, width: int) -> None:
        self._most = width
        self._fit = float(width)
        self._inside = 0
        self._coming = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._long_since: float | None = None
        self._refused_at = -math.inf
        self._taken = 0.05
        self._alone: float | None = None
        self._crowded_at = -math.inf

    @property
    def _width(self) -> int:
        return int(self._fit)

    async def enter(self) -> "Passage":
        """Raises Overloaded."""
        self._check(ahead=len(self._waiting))
        if self._inside < self._width:
            self._let_in()
        else:
            await self._turn()
        return Passage(self)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Within the block somebody is on the way here who is counted already. Raises Overloaded.

        Else all who come while there is one place would be let on, and all but one be refused in the end.
        """
        self._check(ahead=len(self._waiting) + self._coming)
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def _check(self, *, ahead: int) -> None:
        """Raises Overloaded where one who comes now, behind so many, would wait too long."""
        place = self._inside + ahead - self._width + 1
        if place <= 0:
            return
        patience = BURST_SECONDS
        if self._is_overload():
            # One may always wait: a place that becomes free is not to stay empty.
            patience = min(patience, max(QUEUE_SECONDS, self._expected(1)))
        if self._expected(place) > patience:
            raise self._refusal()

    def _is_overload(self) -> bool:
        now = time.monotonic()
        stays_long = self._long_since is not None and now - self._long_since > BURST_SECONDS
        return stays_long or now - self._refused_at < OVERLOAD_SECONDS

    async def _turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._note_length()
        try:
            async with asyncio.timeout(BURST_SECONDS):
                await turn
        except (TimeoutError, asyncio.CancelledError) as leaving:
            if turn.done() and not turn.cancelled():
                self._inside -= 1  # let in at the moment of leaving: the place goes on
                self._let_next_in()
            elif turn in self._waiting:
                self._waiting.remove(turn)
                self._note_length()
            if isinstance(leaving, TimeoutError):
                raise self._refusal() from None
            raise

    def _expected(self, place: int) -> float:
        """Seconds until the one at that place in the queue is let in."""
        return place * self._taken / self._width

    def _refusal(self) -> Overloaded:
        self._refused_at = time.monotonic()
        return Overloaded(
            "More questions are asked than can be searched for; ask again in a moment.",
            again_seconds=random.randint(1, AGAIN_SECONDS),  # noqa: S311 - no secret
        )

    def leave(self, since: float) -> None:
        """Called once by a passage that began then, by `time.monotonic`."""
        seconds = time.monotonic() - since
        self._taken += _NEWEST * (seconds - self._taken)
        if self._crowded_at < since:
            self._alone = seconds if self._alone is None else self._alone + _NEWEST * (seconds - self._alone)
        if not self._is_overload():
            self._fit = float(self._most)
        elif self._alone is not None:
            most = max(STRETCH, 1 + GAIN * (self._width - 1)) * self._alone
            step = -_NARROWER if self._taken > most else _WIDER
            self._fit = min(self._most, max(1.0, self._fit + step))
        self._note_crowd()
        self._inside -= 1
        self._let_next_in()

    def _let_next_in(self) -> None:
        while self._waiting and self._inside < self._width:
            turn = self._waiting.popleft()
            if not turn.done():
                self._let_in()
                turn.set_result(None)
        self._note_length()

    def _note_length(self) -> None:
        """Note since when the queue is long."""
        if self._expected(len(self._waiting)) <= LONG_SECONDS:
            self._long_since = None
        elif self._long_since is None:
            self._long_since = time.monotonic()

    def _let_in(self) -> None:
        self._inside += 1
        self._note_crowd()

    def _note_crowd(self) -> None:
        if self._inside > 1:
            self._crowded_at = time.monotonic()


class Passage:
    """A way through a gate, until it is ended; ended again, nothing happens."""

    def __init__(self, gate: Gate) -> None:
        self._gate: Gate | None = gate
        self._since = time.monotonic()

    def end(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave(self._since)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
