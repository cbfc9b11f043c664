"""A vector index without a server: every vector compared, nothing approximated."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from rag_service.errors import VectorIndexUnavailable
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import successor


class ExactIndex:
    """A `VectorIndex` in memory. With `available` set to False it fails as a server that is away."""

    def __init__(self) -> None:
        self.available = True
        self._collections: dict[str, dict[UUID, Vectors]] = {}

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        await self.ping()
        self._collections.setdefault(self._found(collection), {}).update(zip(ids, vectors, strict=True))

    async def delete(self, collection: str, ids: Sequence[UUID]) -> None:
        await self.ping()
        for id in ids:
            self._collections.get(self._found(collection), {}).pop(id, None)

    async def search(
        self, collection: str, vector: Vectors, limit: int, *, ids: Sequence[UUID] | None = None
    ) -> list[tuple[UUID, float]]:
        await self.ping()
        stored = self._collections.get(self._found(collection), {})
        if ids is not None:
            wanted = set(ids)
            stored = {id: found for id, found in stored.items() if id in wanted}
        if not stored:
            return []
        names, matrix = list(stored), np.stack(list(stored.values()))
        scores = matrix @ vector / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector))
        best = np.argsort(-scores, kind="stable")[:limit]
        return [(names[place], float(scores[place])) for place in best]

    async def count(self, collection: str) -> int:
        await self.ping()
        return len(self._collections.get(self._found(collection), {}))

    async def ids(self, collection: str, *, offset: int, limit: int) -> list[UUID]:
        await self.ping()
        return list(self._collections.get(self._found(collection), {}))[offset : offset + limit]

    async def present(self, collection: str, ids: Sequence[UUID]) -> set[UUID]:
        await self.ping()
        return self._collections.get(self._found(collection), {}).keys() & set(ids)

    async def collections(self) -> list[str]:
        await self.ping()
        return list(self._collections)

    async def drop(self, collection: str) -> None:
        await self.ping()
        self._collections.pop(collection, None)

    async def replace(self, collection: str) -> None:
        await self.ping()
        self._collections[collection] = self._collections.pop(successor(collection))

    def _found(self, collection: str) -> str:
        """The collection, or its successor where only that is there."""
        there = collection in self._collections or successor(collection) not in self._collections
        return collection if there else successor(collection)

    async def ping(self) -> None:
        if not self.available:
            raise VectorIndexUnavailable("The vector index does not answer; try again in a moment.")
