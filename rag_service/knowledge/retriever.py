"""From a question to chunks that may be quoted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Chunks, ReadableChunk
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.model_check import check_can_ask
from rag_service.knowledge.vectors import VectorIndex, collection_name

OVERFETCH = 3
"""How many times the wanted number is asked of the index: what is stale falls out when it is read back."""


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

    async def retrieve(self, question: str, knowledge_base_id: UUID, *, limit: int) -> Retrieval:
        """At most `limit` chunks of the knowledge base.

        Raises:
            EmbedderUnavailable, VectorIndexUnavailable, DatabaseUnavailable, EmbeddingModelMismatch
        """
        await check_can_ask(self._database, knowledge_base_id, self._embedder.fingerprint)
        started = time.perf_counter()
        vector = await self._embedder.embed_question(question)
        embedded = time.perf_counter()
        found = await self._vectors.search(
            collection_name(knowledge_base_id, self._embedder.fingerprint), vector, limit * OVERFETCH
        )
        searched = time.perf_counter()
        async with self._database.transaction() as session:
            readable = await Chunks(session).readable(knowledge_base_id, [chunk_id for chunk_id, _ in found])
        done = time.perf_counter()
        hits = [Hit(readable[chunk_id], score) for chunk_id, score in found if chunk_id in readable]
        return Retrieval(
            hits[:limit],
            {
                "embed": 1000 * (embedded - started),
                "search": 1000 * (searched - embedded),
                "read_back": 1000 * (done - searched),
            },
        )
