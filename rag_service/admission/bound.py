"""How many of something one process has in work at the same time."""

from types import TracebackType
from typing import Self

from rag_service.errors import Overloaded


class Bound:
    """So many at a time, and no queue: one more is refused at once."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._now = 0

    def enter(self) -> "Place":
        """Raises Overloaded."""
        self.check()
        self._now += 1
        return Place(self)

    def check(self) -> None:
        """Raises Overloaded where one who comes now would be refused."""
        if self._now >= self._most:
            raise Overloaded(f"{self._most} {self._what} are in work here, which is as many as there may be.")

    def leave(self) -> None:
        """Called once by each place."""
        self._now -= 1


class Place:
    """A place within a bound, until it is given up; given up again, nothing happens."""

    def __init__(self, bound: Bound) -> None:
        self._bound: Bound | None = bound

    def give_up(self) -> None:
        bound, self._bound = self._bound, None
        if bound is not None:
            bound.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()
