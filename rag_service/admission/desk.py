"""Everything that stands between a caller and the work, made once a process."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Self

from rag_service.admission.bound import Bound
from rag_service.admission.gate import Gate
from rag_service.admission.limits import Limits
from rag_service.knowledge.lanes import cores
from rag_service.settings import Settings

EXPORTS_AT_ONCE = 4
SEARCHES_A_CORE = 4
"""A search waits for PostgreSQL and Chroma about as long as it computes. On two cores eight at a time were 122 a
second, four 111, two 100."""


@dataclass(frozen=True)
class Admission:
    """The limits of callers, the turns and exports under way, the gate in front of what computes; what is noted behind
    a turn."""

    limits: Limits
    turns: Bound
    exports: Bound
    gate: Gate
    _noting: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        width = settings.max_searches or SEARCHES_A_CORE * cores()
        turns, exports = Bound(settings.max_runs, "answers"), Bound(EXPORTS_AT_ONCE, "exports")
        return cls(Limits.of(settings), turns, exports, Gate(width))

    def note(self, work: Coroutine[None, None, None]) -> None:
        """Have something done that nobody waits for, before the process ends."""
        task = asyncio.create_task(work)
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def close(self) -> None:
        """Note what is still to be noted, and close the connections to Redis."""
        if self._noting:
            await asyncio.wait(self._noting, timeout=1)
        await self.limits.counters.close()
