"""The two indexes asked, and what they find read back: one question's hits, best first."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.db.repositories.read_back import ReadBack, Stored
from rag_service.errors import EmbedderUnavailable, VectorIndexUnavailable
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.fusion import CANDIDATES, ENOUGH, agreement_weight, dense_weight, fuse
from rag_service.knowledge.pairs import bonus
from rag_service.knowledge.selection import Hit, distinct
from rag_service.knowledge.sides import NAMED, WIDE, ByVectors, ByWords, Filtered, Near, Scored, Told, Within

OVERFETCH = (3, 15)
"""How many times the wanted number is asked of each index, step by step: what is stale, or not of a document that the
filters name, falls out when it is read back."""
LATE_SECONDS = 0.6
"""How long the vectors are waited for where words have found something: Chroma stands still for seconds while it writes
its index to disk, in the midst of a large ingestion. What the words found is weighed by its vectors all the same."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What the indexes are asked: terms with weights, the most BM25 they can reach, neighbouring words of the question,
    how finely the embedder cuts it (`dense_weight`); its vector or why there is none."""

    terms: Mapping[str, float]
    possible: float
    pairs: frozenset[tuple[str, str]]
    pieces: float | None
    vector: Vectors | None = None
    failure: EmbedderUnavailable | None = None


def at_first(limit: int) -> int:
    """How many each index is asked for to begin with, where `limit` hits are wanted."""
    return max(CANDIDATES, limit * OVERFETCH[0])


def most_within(limit: int) -> int:
    """How many are found to begin with of the few chunks that pass the filters."""
    return max(CANDIDATES, limit)


def _steps(limit: int, *, is_filtered: bool) -> list[tuple[int, bool]]:
    """How many the indexes are asked for, and whether only of what passes the filters, until there are enough."""
    if is_filtered:
        # They may be narrower than the index can be asked widely: then the other way round.
        return [(at_first(limit), False), (most_within(limit), True), (WIDE, True)]
    wider = max(CANDIDATES, limit * OVERFETCH[1])
    return [(at_first(limit), False), (wider, False), (max(WIDE, wider), False)]


@dataclass(frozen=True)
class Found:
    """What the vectors found, what the words found, and the similarity of these, as far as it is known."""

    near: Scored
    told: Scored
    cosines: Mapping[UUID, float]


@dataclass(frozen=True)
class Search:
    """The hits of one question; what each part takes is added to `timings`.

    `first` is what was found before the question had its vector: the few chunks that pass the filters, or else what the
    words find of all (`at_first`), and what is being asked of the vectors.
    """

    vectors: ByVectors
    filtered: Filtered
    first: "Within | tuple[Told, asyncio.Task[Near]]"
    asked: Asked
    timings: dict[str, float]
    most: int = 0
    """Hits that a reranker wants to see."""

    async def best(self, limit: int) -> tuple[list[Hit], list[Hit]]:
        """At least `limit` hits if there are as many, and those of them that say the same as a better one."""
        kept: list[Hit] = []
        folded: list[Hit] = []
        (wanted, _), *more = _steps(limit, is_filtered=bool(self.filters))
        if isinstance(self.first, Within):
            wanted, found = most_within(limit), self._compared(self.first, most_within(limit))
        else:
            found = await self._found(wanted, first=self.first)
        while True:
            kept, folded = await self._readable(found, limit)
            if len(kept) >= limit or max(len(found.near), len(found.told)) < wanted or not more:
                return kept, folded  # enough, or all that there is
            (wanted, within), *more = more
            found = await (self._found_within(wanted) if within else self._found(wanted))

    async def _found_within(self, wanted: int) -> Found:
        """What the vectors and the words find in the documents that pass the filters."""
        before = time.perf_counter()
        documents = await self.filtered.documents(limit=NAMED + 1)
        before = self._took("filter", before)
        if len(documents) > NAMED:
            found = await self._found_widely(wanted)
            if len(found.near) + len(found.told) >= wanted:
                return found
            before = time.perf_counter()
            documents = await self.filtered.documents()
            before = self._took("filter", before)
        few = await self.filtered.few_of(documents, wanted)
        if few is None:
            return await self._found_widely(wanted, [document.id for document in documents])
        self._took("search", before)
        return self._compared(few, wanted)

    def _compared(self, few: Within, wanted: int) -> Found:
        if self.asked.vector is None:
            if self.asked.failure is not None and not few.told:
                raise self.asked.failure
            return Found([], few.told, {})
        compared = few.chunks.compared(self.asked.vector)
        return Found(compared.nearest(wanted), few.told, compared.of(chunk_id for chunk_id, _ in few.told))

    async def _found_widely(self, wanted: int, documents: Sequence[UUID] | None = None) -> Found:
        """Of the nearest of all chunks those that pass the filters, and of the words' best too; with `documents` the
        words find in these alone."""
        through = self.filters if documents is None else NO_FILTERS
        found = await self._found(WIDE, words=wanted, documents=documents, filters=through)
        before = time.perf_counter()
        ids = [chunk_id for chunk_id, _ in found.near]
        passing = await ReadBack(self.words.database).passing(self.knowledge_base_id, ids, self.filters)
        self._took("filter", before)
        return replace(found, near=[one for one in found.near if one[0] in passing][:wanted])

    async def _found(
        self,
        wanted: int,
        *,
        words: int | None = None,
        documents: Sequence[UUID] | None = None,
        filters: Filters = NO_FILTERS,
        first: "tuple[Told, asyncio.Task[Near]] | None" = None,
    ) -> Found:
        """What the vectors find, and what the words find, `words` of these where given."""
        before = time.perf_counter()
        if first is not None:
            by_words, asking = first
        else:
            asking = asyncio.create_task(self.vectors.near(self.asked.vector, wanted))
        try:
            if first is None:
                by_words = await self.words.told(words or wanted, documents, filters=filters)
            told, cosines = by_words.scored, self._cosines(by_words.stored)
            await asyncio.wait([asking], timeout=LATE_SECONDS if told else None)
            near = await asking if asking.done() else []
        finally:
            asking.cancel()
        if not asking.done():
            logger.warning("searching by words alone, since the vector index is late")
        failure: Exception | None = self.asked.failure
        if isinstance(near, VectorIndexUnavailable):
            failure, near = near, []
        if failure is not None:
            if not told and not filters:
                raise failure
            logger.warning("searching by words alone", extra={"reason": str(failure)})
        self.timings["search"] += 1000 * (time.perf_counter() - before)
        return Found(near, told, cosines)

    async def _readable(self, indexed: Found, limit: int) -> tuple[list[Hit], list[Hit]]:
        """Of what was found, fused: hits that may be read, and those of them that say the same as a better one.

        Read back are so many of the best as usually suffice; all, where they do not.
        """
        before = time.perf_counter()
        kept: list[Hit] = []
        folded: list[Hit] = []
        stored = ReadBack(self.words.database)
        near, told = indexed.near, indexed.told
        found = fuse(
            near,
            told,
            weight=self._weight(near, told),
            possible=self.asked.possible,
            cosines=indexed.cosines,
        )
        hits: list[Hit] = []
        few = max(ENOUGH, limit * OVERFETCH[0], self.most)
        for some in (found[:few], found[few:]):
            ids = [one.chunk_id for one in some]
            readable = await stored.readable(self.knowledge_base_id, ids, self.filters)
            read = [Hit(readable[one.chunk_id], one) for one in some if one.chunk_id in readable]
            hits += sorted(map(self._with_pairs, read), key=lambda hit: -hit.found.fused)
            kept, folded = distinct(hits)
            if len(kept) >= limit or len(found) <= few:
                break
        self.timings["read_back"] += 1000 * (time.perf_counter() - before)
        return kept, folded

    def _with_pairs(self, hit: Hit) -> Hit:
        given = bonus(self.asked.pairs, hit.source.title, hit.source.chunk.text)
        return replace(hit, found=hit.found._replace(fused=hit.found.fused + given)) if given else hit

    def _weight(self, near: Scored, told: Scored) -> float:
        if self.asked.vector is None:
            return 0.0
        if self.asked.pieces is None:
            return agreement_weight(near, told)
        return dense_weight(self.asked.pieces)

    def _cosines(self, stored: Stored) -> dict[UUID, float]:
        """Of chunks, by the vectors that PostgreSQL keeps."""
        if self.asked.vector is None or not stored.ids:
            return {}
        return dict(zip(stored.ids, (stored.vectors @ self.asked.vector).tolist(), strict=True))

    def _took(self, part: str, before: float) -> float:
        """Count the time since `before` to a part; returns the time now."""
        now = time.perf_counter()
        self.timings[part] = self.timings.get(part, 0.0) + 1000 * (now - before)
        return now

    @property
    def words(self) -> ByWords:
        return self.filtered.words

    @property
    def filters(self) -> Filters:
        return self.filtered.filters

    @property
    def knowledge_base_id(self) -> UUID:
        return self.words.knowledge_base_id
