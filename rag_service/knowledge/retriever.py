"""From a question to chunks that may be quoted."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Chunks, ReadableChunk
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.model_check import check_can_ask
from rag_service.knowledge.vectors import VectorIndex, collection_name

OVERFETCH = (3, 15)
"""How many times the wanted number is asked of the index, step by step: what is stale, or not of a document that the
filters name, falls out when it is read back."""


@dataclass(frozen=True)
class Hit:
    """A chunk that may be quoted, with the cosine similarity of its vector to the question's."""

    source: ReadableChunk
    score: float


@dataclass(frozen=True)
class Retrieval:
    """Hits, best first, and the milliseconds each part took."""

    hits: Sequence[Hit]
    timings: dict[str, float] = field(default_factory=dict)


class Retriever:
    """Searches the vector index, and lets only what PostgreSQL says is readable through."""

    def __init__(self, database: Database, vectors: VectorIndex, embedder: Embedder) -> None:
        self._database = database
        self._vectors = vectors
        self._embedder = embedder

    async def retrieve(
        self, question: str, knowledge_base_id: UUID, *, limit: int, filters: Filters = NO_FILTERS
    ) -> Retrieval:
        """At most `limit` chunks of the knowledge base; fewer only where no more pass the filters.

        Raises:
            EmbedderUnavailable, VectorIndexUnavailable, DatabaseUnavailable, EmbeddingModelMismatch
        """
        started = time.perf_counter()
        vector, _ = await asyncio.gather(
            self._embedder.embed_question(question),
            check_can_ask(self._database, knowledge_base_id, self._embedder.fingerprint),
        )
        timings = {"embed": 1000 * (time.perf_counter() - started), "search": 0.0, "read_back": 0.0}
        search = _Search(self._database, self._vectors, self._embedder.fingerprint, knowledge_base_id)
        hits = await search.nearest(vector, limit, filters, timings)
        return Retrieval(hits, timings)


@dataclass(frozen=True)
class _Search:
    """The hits of one question; what each part takes is added to `timings`."""

    database: Database
    vectors: VectorIndex
    fingerprint: str
    knowledge_base_id: UUID

    async def nearest(
        self, vector: Vectors, limit: int, filters: Filters, timings: dict[str, float]
    ) -> list[Hit]:
        hits: list[Hit] = []
        for times in OVERFETCH:
            found = await self._found(vector, limit * times, timings)
            hits = await self._readable(found, filters, timings)
            if len(hits) >= limit or len(found) < limit * times:  # enough, or all that there is
                return hits[:limit]
        if not filters:
            return hits
        # The filters are narrower than the index can be asked widely: now the other way round.
        async with self.database.transaction() as session:
            ids = await Chunks(session).matching(self.knowledge_base_id, filters)
        found = await self._found(vector, limit, timings, ids)
        return await self._readable(found, filters, timings)

    async def _found(
        self, vector: Vectors, limit: int, timings: dict[str, float], ids: Sequence[UUID] | None = None
    ) -> list[tuple[UUID, float]]:
        before = time.perf_counter()
        collection = collection_name(self.knowledge_base_id, self.fingerprint)
        found = await self.vectors.search(collection, vector, limit, ids=ids)
        timings["search"] += 1000 * (time.perf_counter() - before)
        return found

    async def _readable(
        self, found: Sequence[tuple[UUID, float]], filters: Filters, timings: dict[str, float]
    ) -> list[Hit]:
        before = time.perf_counter()
        async with self.database.transaction() as session:
            readable = await Chunks(session).readable(
                self.knowledge_base_id, [chunk_id for chunk_id, _ in found], filters
            )
        timings["read_back"] += 1000 * (time.perf_counter() - before)
        return [Hit(readable[chunk_id], score) for chunk_id, score in found if chunk_id in readable]
