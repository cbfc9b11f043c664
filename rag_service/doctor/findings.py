"""What an examination finds, and how it tells how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rag_service.knowledge.consistency import Difference, Seen, unseen


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be. `check` is stable and meant for programs."""

    check: str
    where: str
    what: str
    todo: str
    count: int = 1
    mended: int = 0
    examples: list[str] = field(default_factory=list)
    note: bool = False
    """Whether it is only worth knowing, and no fault."""

    @property
    def left(self) -> int:
        """How many of them are still as they should not be."""
        return 0 if self.note else self.count - self.mended

    @classmethod
    def of(cls, difference: Difference, check: str, where: str, what: str, todo: str) -> "Finding":
        return cls(check, where, what, todo, difference.count, difference.mended, difference.examples)


Watch = Callable[[str, int | None], Seen]
"""Told what begins and how many entries it will look at, if that is known."""


def unwatched(_: str, __: int | None) -> Seen:
    return unseen
