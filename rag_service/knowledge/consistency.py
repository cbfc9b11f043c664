"""One knowledge base's chunks against one collection of the vector index: what differs, and mending it.

Everything goes by page. What PostgreSQL says is right; a collection is made to agree with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import numpy as np

from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Embeddings
from rag_service.db.repositories.consistency import Consistency
from rag_service.knowledge.vectors import VectorIndex, collection_name

PAGE = 1000
LISTED = 10_000
"""Ids that an index is asked for at once: it counts its way to a page anew each time, and they are small."""
EXAMPLES = 5
NEIGHBOURS = 10
EQUAL = 1e-3
"""How far apart two scores may be and still count as equal: an index may store what it was given less exactly."""

Seen = Callable[[int], None]
"""Told how many more entries have been looked at."""


def unseen(_: int) -> None:
    """For whoever does not want to know."""


@dataclass
class Difference:
    """Entries that differ: how many, how many of them were mended, a few of them by id."""

    count: int = 0
    mended: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, ids: Sequence[UUID], *, mended: int = 0) -> None:
        self.count += len(ids)
        self.mended += mended
        self.examples += [str(id) for id in ids[: EXAMPLES - len(self.examples)]]


class Comparison:
    """A knowledge base's active chunks, and the collection that should hold their vectors under `model`."""

    def __init__(
        self,
        database: Database,
        vectors: VectorIndex,
        knowledge_base_id: UUID,
        model: str,
        *,
        collection: str | None = None,
    ) -> None:
        """`collection` is another one than the knowledge base's own under that model, to be filled like it."""
        self._database = database
        self._vectors = vectors
        self._knowledge_base_id = knowledge_base_id
        self._model = model
        self.collection = collection or collection_name(knowledge_base_id, model)

    async def missing(
        self, *, mend: bool = False, under_way: bool = False, seen: Seen = unseen
    ) -> Difference:
        """Active chunks without a vector in the collection; mended from the stored embeddings.

        `under_way` includes chunks that a job is just storing, as far as they are embedded.
        """
        found = Difference()
        after: UUID | None = None
        while True:
            async with self._database.transaction() as session:
                page = await Consistency(session).wanted(
                    self._knowledge_base_id, after=after, limit=PAGE, under_way=under_way
                )
            if not page:
                return found
            after = page[-1][0]
            there = await self._vectors.present(self.collection, [id for id, _ in page])
            absent = [(id, content_hash) for id, content_hash in page if id not in there]
            found.add([id for id, _ in absent], mended=await self._store(absent) if mend else 0)
            seen(len(page))

    async def _store(self, chunks: Sequence[tuple[UUID, str]]) -> int:
        """Store the vectors of those chunks that have an embedding; returns how many have one."""
        async with self._database.transaction() as session:
            known = await Embeddings(session).load(self._model, list({key for _, key in chunks}))
        embedded = [(id, known[key]) for id, key in chunks if key in known]
        if embedded:
            await self._vectors.upsert(
                self.collection, [id for id, _ in embedded], np.stack([vector for _, vector in embedded])
            )
        return len(embedded)

    async def stale(self, *, mend: bool = False, seen: Seen = unseen) -> Difference:
        """Entries of the collection that belong to no chunk that is, or is about to be, readable."""
        found = Difference()
        offset = 0
        while page := await self._vectors.ids(self.collection, offset=offset, limit=LISTED):
            async with self._database.transaction() as session:
                unwanted = await Consistency(session).stale(self._knowledge_base_id, self.collection, page)
            if mend:
                await self._vectors.delete(self.collection, unwanted)
            found.add(unwanted, mended=len(unwanted) if mend else 0)
            offset += len(page) - (len(unwanted) if mend else 0)
            seen(len(page))
        return found

    async def lost(self, sample: int, *, seen: Seen = unseen) -> Difference:
        """Of a sample of chunks, those whose own vector does not find them: an index may count right and find wrong.

        A chunk counts as found also behind others whose score is equal, as those that say the same have.
        """
        found = Difference()
        chunks = await self._sample(sample)
        there = await self._vectors.present(self.collection, [id for id, _ in chunks])
        async with self._database.transaction() as session:
            known = await Embeddings(session).load(self._model, list({key for _, key in chunks}))
        for id, content_hash in chunks:
            if id in there and content_hash in known:
                hits = await self._vectors.search(self.collection, known[content_hash], NEIGHBOURS)
                if not _finds(id, hits):
                    found.add([id])
            seen(1)
        return found

    async def _sample(self, size: int) -> list[tuple[UUID, str]]:
        """Chunks from a random place on: their ids are hashes, so neighbours have nothing in common."""
        async with self._database.transaction() as session:
            repository, base = Consistency(session), self._knowledge_base_id
            chunks = await repository.wanted(base, after=uuid4(), limit=size)
            if len(chunks) < size:
                chunks += await repository.wanted(base, after=None, limit=size - len(chunks))
        return list(dict.fromkeys(chunks))


def _finds(id: UUID, hits: Sequence[tuple[UUID, float]]) -> bool:
    if not hits or hits[0][1] < 1 - EQUAL:
        return False  # its own vector has a similarity of one
    scores = dict(hits)
    crowded_out = len(hits) == NEIGHBOURS and hits[-1][1] >= 1 - EQUAL
    return scores.get(id, -1.0) >= hits[0][1] - EQUAL or crowded_out
