"""The two indexes asked, and what they find read back: one question's hits, best first."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.db.repositories.read_back import NONE_STORED, ReadBack, Stored
from rag_service.errors import EmbedderUnavailable, VectorIndexUnavailable
from rag_service.knowledge import follow_ups
from rag_service.knowledge.at_hand import VectorsAtHand
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.fusion import CANDIDATES, ENOUGH, agreement_weight, dense_weight, fuse
from rag_service.knowledge.lexical import LexicalIndex
from rag_service.knowledge.pairs import bonus
from rag_service.knowledge.selection import Hit, distinct
from rag_service.knowledge.vectors import VectorIndex

OVERFETCH = (3, 15)
"""How many times the wanted number is asked of each index, step by step: what is stale, or not of a document that the
filters name, falls out when it is read back."""
FEW = 8000
"""So many chunks that filters leave are compared one by one, by the vectors that PostgreSQL keeps. The first question
under these filters waits for them to be read, some 8 ms for each 1,000; to look widely takes about 70 for each."""
NAMED = 1000
"""So many documents that filters leave are named to the words' index: of more, it is asked as widely as the other."""
WIDE = 1000
"""Of more than `FEW`, so many of the nearest of all chunks are looked through for those that pass. So many are also
asked for in the end where all that was found says the same: copies of one document are not to hide the others."""
LATE_SECONDS = 0.6
"""How long the vectors are waited for where words have found something: Chroma stands still for seconds while it writes
its index to disk, in the midst of a large ingestion. What the words found is weighed by its vectors all the same."""

logger = logging.getLogger(__name__)
Scored = list[tuple[UUID, float]]
Near = Scored | VectorIndexUnavailable
"""What the vectors find, best first, or why they find nothing."""


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


@dataclass(frozen=True)
class Told:
    """What the words find, best first, and the stored vectors of it, as far as there are any."""

    scored: Scored
    stored: Stored = NONE_STORED


def at_first(limit: int) -> int:
    """How many each index is asked for to begin with, where `limit` hits are wanted."""
    return max(CANDIDATES, limit * OVERFETCH[0])


def _steps(limit: int, *, is_filtered: bool) -> list[tuple[int, bool]]:
    """How many the indexes are asked for, and whether only of what passes the filters, until there are enough."""
    if is_filtered:
        # They may be narrower than the index can be asked widely: then the other way round.
        return [(at_first(limit), False), (max(CANDIDATES, limit), True), (WIDE, True)]
    wider = max(CANDIDATES, limit * OVERFETCH[1])
    return [(at_first(limit), False), (wider, False), (max(WIDE, wider), False)]


@dataclass(frozen=True)
class ByWords:
    """The half of a search that needs no vector of the question, and can be done while that is made."""

    database: Database
    lexical: LexicalIndex | None
    fingerprint: str
    knowledge_base_id: UUID
    terms: Mapping[str, float]

    async def told(
        self,
        wanted: int,
        documents: Sequence[UUID] | None = None,
        *,
        filters: Filters = NO_FILTERS,
    ) -> Told:
        """With `filters`, of the `WIDE` best those that pass them. Raises DatabaseUnavailable."""
        scored = await self.scored(wanted, documents, filters=filters)
        # Also of those that the vectors will find: to wait for that takes longer than to ask.
        ids = [chunk_id for chunk_id, _ in scored]
        return Told(
            scored, await ReadBack(self.database).vectors(self.fingerprint, ids) if ids else NONE_STORED
        )

    async def scored(
        self, wanted: int, documents: Sequence[UUID] | None = None, *, filters: Filters = NO_FILTERS
    ) -> Scored:
        """The same without the vectors."""
        if self.lexical is None:
            return []
        asked = follow_ups.repeated(self.terms)
        many = WIDE if filters else wanted
        found = await self.lexical.search(self.knowledge_base_id, asked, many, documents=documents)
        if filters:
            ids = [chunk_id for chunk_id, _ in found]
            passing = await ReadBack(self.database).passing(self.knowledge_base_id, ids, filters)
            found = [one for one in found if one[0] in passing][:wanted]
        return [(chunk_id, score / follow_ups.STEP) for chunk_id, score in found]


@dataclass(frozen=True)
class ByVectors:
    """The half of a search that waits for the vector of the question."""

    index: VectorIndex
    collection: str

    async def near(self, vector: Vectors | None, wanted: int) -> Near:
        """Nothing where there is no vector."""
        if vector is None:
            return []
        try:
            return await self.index.search(self.collection, vector, wanted)
        except VectorIndexUnavailable as error:
            return error


@dataclass(frozen=True)
class Found:
    """What the vectors found, what the words found, and the similarity of these, as far as it is known."""

    near: Scored
    told: Scored
    cosines: Mapping[UUID, float]


@dataclass(frozen=True)
class Search:
    """The hits of one question; what each part takes is added to `timings`. `first_near` and `first` are what the
    vectors and the words find (`at_first`): the one is being asked for, the other known."""

    database: Database
    vectors: ByVectors
    words: ByWords
    at_hand: VectorsAtHand
    first_near: "asyncio.Task[Near]"
    first: Told
    asked: Asked
    timings: dict[str, float]
    most: int = 0
    """Hits that a reranker wants to see."""

    async def best(self, limit: int, filters: Filters) -> tuple[list[Hit], list[Hit]]:
        """At least `limit` hits if there are as many, and those of them that say the same as a better one."""
        kept: list[Hit] = []
        folded: list[Hit] = []
        for wanted, within in _steps(limit, is_filtered=bool(filters)):
            if within:
                found = await self._found_within(wanted, filters)
            else:
                found = await self._found(wanted, is_first=wanted == at_first(limit))
            kept, folded = await self._readable(found, limit, filters)
            if len(kept) >= limit or max(len(found.near), len(found.told)) < wanted:
                break  # enough, or all that there is
        return kept, folded

    async def _found_within(self, wanted: int, filters: Filters) -> Found:
        """What the vectors and the words find in the documents that pass the filters."""
        before = time.perf_counter()
        stored = ReadBack(self.database)
        documents = await stored.matching(self.knowledge_base_id, filters, limit=NAMED + 1)
        before = self._took("filter", before)
        if len(documents) > NAMED:
            found = await self._found_widely(wanted, filters)
            if len(found.near) + len(found.told) >= wanted:
                return found
            before = time.perf_counter()
            documents = await stored.matching(self.knowledge_base_id, filters)
            before = self._took("filter", before)
        names = [document.id for document in documents]
        if sum(document.chunks for document in documents) > FEW:
            return await self._found_widely(wanted, filters, names)
        chunks, told = await asyncio.gather(
            self.at_hand.of(self.fingerprint, documents), self.words.scored(wanted, names)
        )
        self._took("search", before)
        if self.asked.vector is None:
            if self.asked.failure is not None and not told:
                raise self.asked.failure
            return Found([], told, {})
        compared = chunks.compared(self.asked.vector)
        return Found(compared.nearest(wanted), told, compared.of(chunk_id for chunk_id, _ in told))

    async def _found_widely(
        self, wanted: int, filters: Filters, documents: Sequence[UUID] | None = None
    ) -> Found:
        """Of the nearest of all chunks those that pass the filters, and of the words' best too; with `documents` the
        words find in these alone."""
        through = filters if documents is None else NO_FILTERS
        found = await self._found(WIDE, words=wanted, documents=documents, filters=through)
        before = time.perf_counter()
        ids = [chunk_id for chunk_id, _ in found.near]
        passing = await ReadBack(self.database).passing(self.knowledge_base_id, ids, filters)
        self._took("filter", before)
        return replace(found, near=[one for one in found.near if one[0] in passing][:wanted])

    async def _found(
        self,
        wanted: int,
        *,
        words: int | None = None,
        documents: Sequence[UUID] | None = None,
        filters: Filters = NO_FILTERS,
        is_first: bool = False,
    ) -> Found:
        """What the vectors find, and what the words find, `words` of these where given."""
        before = time.perf_counter()
        asking = self.first_near
        if not is_first:
            asking = asyncio.create_task(self.vectors.near(self.asked.vector, wanted))
        try:
            by_words = self.first
            if not is_first:
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

    async def _readable(self, indexed: Found, limit: int, filters: Filters) -> tuple[list[Hit], list[Hit]]:
        """Of what was found, fused: hits that may be read, and those of them that say the same as a better one.

        Read back are so many of the best as usually suffice; all, where they do not.
        """
        before = time.perf_counter()
        kept: list[Hit] = []
        folded: list[Hit] = []
        stored = ReadBack(self.database)
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
            readable = await stored.readable(self.knowledge_base_id, [one.chunk_id for one in some], filters)
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
    def fingerprint(self) -> str:
        return self.words.fingerprint

    @property
    def knowledge_base_id(self) -> UUID:
        return self.words.knowledge_base_id
