"""Upserts of several jobs in one request: while one is under way, the next ones gather."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import VectorIndex


@dataclass
class _Waiting:
    ids: Sequence[UUID]
    vectors: Vectors
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GatheredUpserts:
    """Stores vectors in a `VectorIndex`; a request that fails fails for all that had gathered in it."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._waiting: defaultdict[str, list[_Waiting]] = defaultdict(list)
        self._senders: dict[str, asyncio.Task[None]] = {}

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        """Returns when they are stored. Raises VectorIndexUnavailable."""
        mine = _Waiting(ids, vectors)
        self._waiting[collection].append(mine)
        if collection not in self._senders:
            self._senders[collection] = asyncio.create_task(self._send(collection))
        await mine.done

    async def _send(self, collection: str) -> None:
        try:
            while waiting := self._waiting.pop(collection, None):
                ids = [id for item in waiting for id in item.ids]
                try:
                    await self._index.upsert(
                        collection, ids, np.concatenate([item.vectors for item in waiting])
                    )
                except Exception as error:  # noqa: BLE001 - told to whoever waits, whatever it is
                    for item in waiting:
                        if not item.done.done():
                            item.done.set_exception(error)
                else:
                    for item in waiting:
                        if not item.done.done():
                            item.done.set_result(None)
        finally:
            del self._senders[collection]
