"""Whether a model is worth asking: one that failed several times running is left alone for a while."""

import time
from collections.abc import Callable

FAILURES = 3
"""Calls that fail one after the other, until no more are let through."""
REST_SECONDS = 30.0
"""How long a model is then left alone, until one call may try whether it lives again."""


class Breaker:
    """Lets calls through until `failures` in a row have failed; then none for `rest_seconds`, then one as a trial.

    Every call that was let in is let out again, however it ended. Belongs to one event loop; `clock` gives seconds
    that never run backwards.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        rest_seconds: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._failures = 0
        self._rests_until: float | None = None
        self._trial: object | None = None

    def enter(self) -> object | None:
        """A ticket for a call, to be given to `leave`; None where no call may be made now."""
        ticket = object()
        if self._rests_until is not None:
            if self._trial is not None or self._clock() < self._rests_until:
                return None
            self._trial = ticket
        return ticket

    def answered(self) -> None:
        """A call got its first word: others may follow, but one more failure is one too many."""
        if self._rests_until is not None:
            self._rests_until, self._trial = None, None
            self._failures = self._limit - 1

    def leave(self, ticket: object, *, failed: bool | None) -> None:
        """The call has ended; `failed` is None where its end says nothing of the model, as when it was stopped."""
        if self._trial is ticket:
            self._trial = None
        if failed:
            self._failures += 1
            if self._failures >= self._limit:
                self._rests_until = self._clock() + self._rest_seconds
        elif failed is not None:
            self._failures, self._rests_until = 0, None
