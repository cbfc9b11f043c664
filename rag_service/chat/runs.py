"""Turns under way, in memory: what they have told so far, and who follows them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Literal
from uuid import UUID

from rag_service.chat.events import TERMINAL, Event
from rag_service.errors import InvalidInput

FIRST_FOLLOWER_SECONDS = 5.0
"""How long the caller who began a turn may take to come and read it."""

Cut = Literal["stopped", "interrupted"]


class Run:
    """A turn's events. It belongs to the server: whoever follows it only reads along.

    An event's number counts from 1; only what an interruption adds has one far higher. `abandoned` is called when
    nobody has followed the run for `grace` seconds and it goes on.
    """

    def __init__(
        self,
        run_id: UUID,
        conversation_id: UUID,
        message_id: UUID,
        *,
        grace: float,
        abandoned: "Callable[[Run], None]",
    ) -> None:
        self.id = run_id
        self.conversation_id = conversation_id
        self.message_id = message_id
        self.events: list[Event] = []
        self._numbers: dict[int, int] = {}
        """Of those events that are not numbered by their place: an open stream has thousands that are."""
        self.stored = 0
        """How many of the events PostgreSQL has."""
        self.task: asyncio.Task[None] | None = None
        self.is_ending = False
        """Its end is being saved: too late to stop it."""
        self.cut: Cut = "stopped"
        self._is_closed = False
        self._changed = asyncio.Event()
        self._followers = 0
        self._grace = grace
        self._abandoned = abandoned
        self._timer: asyncio.TimerHandle | None = None
        self.wait_for_followers(max(grace, FIRST_FOLLOWER_SECONDS))

    @property
    def last(self) -> int:
        """The number of the last event that was told; 0 where none was."""
        return self._number(len(self.events) - 1) if self.events else 0

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TERMINAL)

    def publish(self, event: Event, number: int | None = None) -> None:
        """Tell an event, under the next number unless another, higher one is given."""
        if number is not None and number != len(self.events) + 1:
            self._numbers[len(self.events)] = number
        self.events.append(event)
        if self.has_ended:
            self._wait_no_more()
        self._wake()

    def close(self) -> None:
        """End all following here, without an end of the turn: it is to be taken up elsewhere."""
        self._is_closed = True
        self._wake()

    def stop(self, cut: Cut = "stopped") -> None:
        """End the turn where it is; what was said so far is saved. One that is at its end stays as it is."""
        if self.task is not None and not self.is_ending:
            self.is_ending, self.cut = True, cut  # a second cancellation would cut the saving short
            self.task.cancel()

    def check(self, after: int) -> None:
        """Raises InvalidInput where no event of this number was ever told, as far as this process can know it."""
        if after > self.last and (self.task is not None or self.has_ended):
            raise InvalidInput(f"Last-Event-ID: this turn has told no event {after}.")

    @property
    def has_followers(self) -> bool:
        return self._followers > 0

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Within the block somebody follows the run."""
        self._followers += 1
        self._wait_no_more()
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self.wait_for_followers()

    async def follow(self, after: int = 0) -> AsyncGenerator[tuple[int, Event], None]:
        """Every event with its number, from the first behind `after` on; ends behind the terminal one."""
        async with aclosing(self.batches(after, idle=None)) as batches:
            async for batch in batches:
                for told in batch:
                    yield told

    async def batches(
        self, after: int = 0, *, idle: float | None
    ) -> AsyncGenerator[list[tuple[int, Event]], None]:
        """As `follow`, all that is there at a time; and nothing whenever none came for `idle` seconds."""
        at = 0
        while True:
            # Where the run is made elsewhere, those that the reader has seen may come late too.
            told = ((self._number(place), self.events[place]) for place in range(at, len(self.events)))
            batch = [(number, event) for number, event in told if number > after]
            at = len(self.events)
            if batch:
                yield batch
            if at < len(self.events):
                continue
            if self.has_ended or self._is_closed:
                return
            changed = self._changed
            try:
                async with asyncio.timeout(idle):
                    await changed.wait()
            except TimeoutError:
                yield []

    def _number(self, place: int) -> int:
        return self._numbers.get(place, place + 1)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def wait_for_followers(self, seconds: float | None = None) -> None:
        """Give the run up if nobody follows it for so long from now on; for its grace, unless said otherwise."""
        self._wait_no_more()
        if not self.has_followers and not self.has_ended:
            wait = self._grace if seconds is None else seconds
            self._timer = asyncio.get_running_loop().call_later(wait, self._abandoned, self)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
