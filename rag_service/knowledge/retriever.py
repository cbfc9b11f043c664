"""From a question to chunks that may be quoted."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Chunks, Embeddings
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.errors import EmbedderUnavailable, VectorIndexUnavailable
from rag_service.knowledge import follow_ups
from rag_service.knowledge.coverage import Frequencies, Terms
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.fusion import (
    CANDIDATES,
    ENOUGH,
    agreement_weight,
    dense_weight,
    fuse,
    lead,
    most_possible,
)
from rag_service.knowledge.lexical import LexicalIndex
from rag_service.knowledge.model_check import check_can_ask
from rag_service.knowledge.selection import Hit, distinct, spread
from rag_service.knowledge.terms import terms, terms_in
from rag_service.knowledge.vectors import VectorIndex, collection_name

OVERFETCH = (3, 15)
"""How many times the wanted number is asked of each index, step by step: what is stale, or not of a document that the
filters name, falls out when it is read back."""
LATE_SECONDS = 0.6
"""How long the vectors are waited for where words have found something: Chroma stands still for seconds while it writes
its index to disk, in the midst of a large ingestion. What the words found is weighed by its vectors all the same."""
REMEMBERED = 2000
"""Vectors of questions that are kept: the next turn of a conversation needs those of the turns before it."""

logger = logging.getLogger(__name__)
_Scored = list[tuple[UUID, float]]


@dataclass(frozen=True)
class Retrieval:
    """Hits, best first, what was left out for their sake, and the milliseconds each part took.

    `terms` cuts texts of this knowledge base's language as the index does; `frequencies` tell how rare the question's
    terms are in it, and `lead` how far the best hit is ahead of many in words, where there is an index.
    """

    hits: Sequence[Hit]
    timings: dict[str, float] = field(default_factory=dict)
    left_out: Sequence[Hit] = ()
    terms: Terms = terms
    frequencies: Frequencies | None = None
    lead: float | None = None


NOTHING = Retrieval(())


class Retriever:
    """Searches by vectors and by words at once, and lets only what PostgreSQL says is readable through.

    Without a lexical index, and where it is empty, vectors alone find; where they cannot be asked, words alone.
    """

    def __init__(
        self,
        database: Database,
        vectors: VectorIndex,
        embedder: Embedder,
        lexical: LexicalIndex | None = None,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._embedder = embedder
        self._lexical = lexical
        self._asked: OrderedDict[str, Vectors] = OrderedDict()

    async def retrieve(
        self,
        question: str,
        knowledge_base_id: UUID,
        *,
        limit: int,
        filters: Filters = NO_FILTERS,
        history: Sequence[str] = (),
    ) -> Retrieval:
        """At most `limit` chunks of the knowledge base; fewer only where no more pass the filters and say more.

        `history` are the questions asked before, oldest first; they help one that does not stand alone.

        Raises:
            EmbedderUnavailable, VectorIndexUnavailable: and words do not find anything either
            DatabaseUnavailable, EmbeddingModelMismatch
        """
        started = time.perf_counter()
        before = history[-follow_ups.QUESTIONS :]
        vector, words = await asyncio.gather(
            self._embedded(question, before), self._words(question, before, knowledge_base_id)
        )
        timings = {"embed": 1000 * (time.perf_counter() - started), "search": 0.0, "read_back": 0.0}
        asked = _Asked(
            words.lent,
            most_possible(words.lent, words.chunks, words.frequencies),
            None
            if isinstance(vector, EmbedderUnavailable)
            else follow_ups.lent_vector(vector[-1], vector[:-1], words.need),
            self._embedder.pieces_a_letter(question),
            vector if isinstance(vector, EmbedderUnavailable) else None,
        )
        search = _Search(
            self._database,
            self._vectors,
            self._lexical,
            self._embedder.fingerprint,
            knowledge_base_id,
            asked,
            timings,
        )
        found = await search.best(limit, filters)
        hits, left_out = _spread(found, limit)
        frequencies = Frequencies(words.chunks, words.frequencies) if words.chunks else None
        ahead = lead([hit.found for hit in found[0]], asked.possible) if words.chunks else None
        return Retrieval(hits, timings, left_out, words.terms, frequencies, ahead)

    async def says_enough(self, question: str, knowledge_base_id: UUID) -> bool:
        """Whether a question can be searched for as it is, whatever was said before. Raises what `retrieve` does."""
        asked = await self._words(question, (), knowledge_base_id)
        return follow_ups.says_enough(question, asked.terms(question), asked.chunks, asked.frequencies)

    async def _embedded(self, question: str, before: Sequence[str]) -> Vectors | EmbedderUnavailable:
        """Vectors of the earlier questions and, last, of this one; the error where there are to be none."""
        try:
            return np.stack([await self._vector(text) for text in (*before, question)])
        except EmbedderUnavailable as error:
            if self._lexical is None:
                raise
            return error

    async def _vector(self, text: str) -> Vectors:
        vector = self._asked.get(text)
        if vector is None:
            vector = await self._embedder.embed_question(text)
        self._asked[text] = vector
        self._asked.move_to_end(text)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return vector

    async def _words(self, question: str, before: Sequence[str], knowledge_base_id: UUID) -> "_Words":
        knowledge_base = await check_can_ask(self._database, knowledge_base_id, self._embedder.fingerprint)
        language = knowledge_base.language if knowledge_base else None
        cut = terms_in(language)
        own = cut(question)
        earlier = [cut(text) for text in before]
        every = {term for said in (own, *earlier) for term in said}
        chunks, frequencies = 0, dict[str, int]()
        if self._lexical is not None:
            chunks, frequencies = await self._lexical.frequencies(knowledge_base_id, sorted(every))
        need = follow_ups.need(own, chunks, frequencies)
        return _Words(follow_ups.lent_terms(own, earlier, need), need, chunks, frequencies, cut)


@dataclass(frozen=True)
class _Words:
    """The terms to search for with their weights, and how often each occurs in how many chunks."""

    lent: Mapping[str, float]
    need: float
    chunks: int
    frequencies: Mapping[str, int]
    terms: Terms


@dataclass(frozen=True)
class _Asked:
    """What the indexes are asked: terms with weights, the most BM25 they can reach, the vector or why there is none."""

    terms: Mapping[str, float]
    possible: float
    vector: Vectors | None
    pieces: float | None
    failure: EmbedderUnavailable | None


@dataclass(frozen=True)
class _Search:
    """The hits of one question; what each part takes is added to `timings`."""

    database: Database
    vectors: VectorIndex
    lexical: LexicalIndex | None
    fingerprint: str
    knowledge_base_id: UUID
    asked: _Asked
    timings: dict[str, float]

    async def best(self, limit: int, filters: Filters) -> tuple[list[Hit], list[Hit]]:
        """At least `limit` hits if there are as many, and those of them that say the same as a better one."""
        kept: list[Hit] = []
        folded: list[Hit] = []
        for times in OVERFETCH:
            wanted = max(CANDIDATES, limit * times)
            near, told = await self._found(wanted)
            kept, folded = await self._readable(near, told, limit, filters)
            if len(kept) >= limit or max(len(near), len(told)) < wanted:  # enough, or all that there is
                return kept, folded
        if filters:
            # They are narrower than the index can be asked widely: now the other way round.
            async with self.database.transaction() as session:
                chunks = Chunks(session)
                ids = await chunks.matching(self.knowledge_base_id, filters)
                documents = await chunks.matching_documents(self.knowledge_base_id, filters)
            near, told = await self._found(max(CANDIDATES, limit), ids, documents)
            kept, folded = await self._readable(near, told, limit, filters)
        return kept, folded

    async def _found(
        self, wanted: int, ids: Sequence[UUID] | None = None, documents: Sequence[UUID] | None = None
    ) -> tuple[_Scored, _Scored]:
        """What the vectors find, and what the words find."""
        before = time.perf_counter()
        asking = asyncio.create_task(self._near(wanted, ids))
        try:
            told = await self._told(wanted, documents)
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
            if not told:
                raise failure
            logger.warning("searching by words alone", extra={"reason": str(failure)})
        self.timings["search"] += 1000 * (time.perf_counter() - before)
        return near, told

    async def _readable(
        self, near: _Scored, told: _Scored, limit: int, filters: Filters
    ) -> tuple[list[Hit], list[Hit]]:
        """Of what was found, fused: hits that may be read, and those of them that say the same as a better one.

        Read back are so many of the best as usually suffice; all, where they do not.
        """
        before = time.perf_counter()
        kept: list[Hit] = []
        folded: list[Hit] = []
        async with self.database.transaction() as session:
            known = {chunk_id for chunk_id, _ in near}
            cosines = await self._cosines(session, [one for one, _ in told if one not in known])
            found = fuse(
                near, told, weight=self._weight(near, told), possible=self.asked.possible, cosines=cosines
            )
            hits: list[Hit] = []
            few = max(ENOUGH, limit * OVERFETCH[0])
            for some in (found[:few], found[few:]):
                readable = await Chunks(session).readable(
                    self.knowledge_base_id, [one.chunk_id for one in some], filters
                )
                hits += [Hit(readable[one.chunk_id], one) for one in some if one.chunk_id in readable]
                kept, folded = distinct(hits)
                if len(kept) >= limit or len(found) <= few:
                    break
        self.timings["read_back"] += 1000 * (time.perf_counter() - before)
        return kept, folded

    def _weight(self, near: _Scored, told: _Scored) -> float:
        if self.asked.vector is None:
            return 0.0
        if self.asked.pieces is None:
            return agreement_weight(near, told)
        return dense_weight(self.asked.pieces)

    async def _near(self, wanted: int, ids: Sequence[UUID] | None) -> _Scored | VectorIndexUnavailable:
        if self.asked.vector is None:
            return []
        collection = collection_name(self.knowledge_base_id, self.fingerprint)
        try:
            return await self.vectors.search(collection, self.asked.vector, wanted, ids=ids)
        except VectorIndexUnavailable as error:
            return error

    async def _told(self, wanted: int, documents: Sequence[UUID] | None) -> _Scored:
        if self.lexical is None:
            return []
        asked = follow_ups.repeated(self.asked.terms)
        found = await self.lexical.search(self.knowledge_base_id, asked, wanted, documents=documents)
        return [(chunk_id, score / follow_ups.STEP) for chunk_id, score in found]

    async def _cosines(self, session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, float]:
        """Of chunks that only the words found, by the vectors that PostgreSQL keeps."""
        if self.asked.vector is None or not ids:
            return {}
        vectors = await Embeddings(session).of_chunks(self.fingerprint, ids)
        return {chunk_id: float(vector @ self.asked.vector) for chunk_id, vector in vectors.items()}


def _spread(found: tuple[Sequence[Hit], Sequence[Hit]], limit: int) -> tuple[list[Hit], list[Hit]]:
    """At most `limit` hits, and those left out for their sake."""
    kept, folded = found
    chosen, cut = spread(kept, limit)
    return chosen, sorted([*cut, *folded], key=lambda hit: -hit.found.fused)
