"""From a question to chunks that may be quoted."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import numpy as np

from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.errors import EmbedderUnavailable
from rag_service.knowledge import follow_ups
from rag_service.knowledge.at_hand import VectorsAtHand
from rag_service.knowledge.coverage import Frequencies, Terms
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.fusion import ENOUGH, most_possible
from rag_service.knowledge.lexical import LexicalIndex
from rag_service.knowledge.model_check import check_can_ask, check_model
from rag_service.knowledge.neighbours import Neighbour, neighbours
from rag_service.knowledge.pairs import pairs_of
from rag_service.knowledge.reranking import Reranker
from rag_service.knowledge.searching import Asked, Search, at_first, most_within
from rag_service.knowledge.selection import Hit, spread
from rag_service.knowledge.sides import ByVectors, ByWords, Filtered, Near, Told, Within
from rag_service.knowledge.terms import terms, terms_in
from rag_service.knowledge.vectors import VectorIndex, collection_name

T = TypeVar("T")

REMEMBERED = 2000
"""Vectors of questions that are kept: the next turn of a conversation needs those of the turns before it."""


@dataclass(frozen=True)
class Retrieval:
    """Hits, best first, what was left out for their sake, and the milliseconds each part took.

    `terms` cuts texts of this knowledge base's language as the index does; `frequencies` tell how rare the question's
    terms are in it, where there is an index, and `crowd` are the best by vectors and words, whether handed on or not.
    """

    hits: Sequence[Hit]
    timings: dict[str, float] = field(default_factory=dict)
    left_out: Sequence[Hit] = ()
    terms: Terms = terms
    frequencies: Frequencies | None = None
    crowd: Sequence[Hit] = ()

    @property
    def all(self) -> list[Hit]:
        """The hits, and behind them what was left out."""
        return [*self.hits, *self.left_out]

    def without_hits(self) -> "Retrieval":
        """What else it tells: an answer that streams for minutes has its sources, and need not hold the hits too."""
        return replace(self, hits=(), left_out=(), crowd=())


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
        reranker: Reranker | None = None,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._embedder = embedder
        self._lexical = lexical
        self._reranker = reranker
        self._at_hand = VectorsAtHand(database)
        self._asked: OrderedDict[str, asyncio.Future[Vectors]] = OrderedDict()

    def expect(self, question: str) -> None:
        """Have the question's vector made, while whoever is about to search for it does something else."""
        self._vector_of(question)

    async def retrieve(
        self,
        question: str,
        knowledge_base_id: UUID,
        *,
        limit: int,
        filters: Filters = NO_FILTERS,
        history: Sequence[str] = (),
        knowledge_base: KnowledgeBase | None = None,
    ) -> Retrieval:
        """At most `limit` chunks of the knowledge base; fewer only where no more pass the filters and say more.

        `history` are the questions asked before, oldest first; they help one that does not stand alone.
        `knowledge_base` saves a look at it, where it was read a moment ago.

        Raises:
            EmbedderUnavailable, VectorIndexUnavailable: and words do not find anything either
            DatabaseUnavailable, EmbeddingModelMismatch
        """
        started = time.perf_counter()
        before, fingerprint = history[-follow_ups.QUESTIONS :], self._embedder.fingerprint
        with _Tasks() as tasks:
            embedding = tasks.begin(self._embedded(question, before))
            words = await self._words(question, before, knowledge_base_id, knowledge_base)
            completing = tasks.begin(_complete(self._asked_of(question, words), embedding, words))
            by_words = ByWords(self._database, self._lexical, fingerprint, knowledge_base_id, words.lent)
            filtered = Filtered(by_words, self._at_hand, filters)
            by_vectors = ByVectors(self._vectors, collection_name(knowledge_base_id, fingerprint))
            first: Within | tuple[Told, asyncio.Task[Near]] | None = None
            if filters:
                first = await filtered.few(most_within(limit))
            if first is None:
                # As soon as the vector is there, whatever the words are at.
                nearest = tasks.begin(_nearest(completing, by_vectors, at_first(limit)))
                first = await by_words.told(at_first(limit)), nearest
            asked = await completing
            # With what is found meanwhile.
            timings = {"embed": 1000 * (time.perf_counter() - started), "search": 0.0, "read_back": 0.0}
            most = self._reranker.most if self._reranker else 0
            search = Search(by_vectors, filtered, first, asked, timings, most)
            kept, folded = await search.best(limit)
        chosen, cut = spread(await self._ranked(question, kept, limit, timings), limit)
        return Retrieval(
            chosen,
            timings,
            sorted([*cut, *folded], key=lambda hit: -hit.found.fused),
            words.terms,
            Frequencies(words.chunks, words.frequencies) if words.chunks else None,
            kept[:ENOUGH],
        )

    async def _ranked(
        self, question: str, kept: Sequence[Hit], limit: int, timings: dict[str, float]
    ) -> Sequence[Hit]:
        if self._reranker is None:
            return kept
        before = time.perf_counter()
        ranked = await self._reranker.ranked(question, kept, limit)
        timings["rerank"] = 1000 * (time.perf_counter() - before)
        return ranked

    async def says_enough(self, question: str, knowledge_base_id: UUID) -> bool:
        """Whether a question can be searched for as it is, whatever was said before. Raises what `retrieve` does."""
        asked = await self._words(question, (), knowledge_base_id, None)
        return follow_ups.says_enough(question, asked.terms(question), asked.chunks, asked.frequencies)

    async def neighbours(self, knowledge_base_id: UUID, hits: Sequence[Hit]) -> list[Neighbour]:
        """What stands next to the hits in their sections, the most useful first. Raises DatabaseUnavailable."""
        return await neighbours(self._database, knowledge_base_id, hits)

    def _asked_of(self, question: str, words: "_Words") -> Asked:
        """What is asked but for its vector."""
        possible = most_possible(words.lent, words.chunks, words.frequencies)
        return Asked(words.lent, possible, pairs_of(question), self._embedder.pieces_a_letter(question))

    async def _embedded(self, question: str, before: Sequence[str]) -> Vectors | EmbedderUnavailable:
        """Vectors of the earlier questions and, last, of this one; the error where there are to be none."""
        try:
            vectors = [self._vector_of(text) for text in (*before, question)]
            # Shared with others who ask the same: who is cancelled does not take it from them.
            return np.stack([await asyncio.shield(vector) for vector in vectors])
        except EmbedderUnavailable as error:
            if self._lexical is None:
                raise
            return error

    def _vector_of(self, text: str) -> "asyncio.Future[Vectors]":
        """The vector of a text, which is being made, or was lately."""
        vector = self._asked.get(text)
        if vector is None:
            vector = asyncio.ensure_future(self._embedder.embed_question(text))
            self._asked[text] = vector
            vector.add_done_callback(lambda made: self._forget_failure(text, made))
        self._asked.move_to_end(text)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return vector

    def _forget_failure(self, text: str, made: "asyncio.Future[Vectors]") -> None:
        if (made.cancelled() or made.exception()) and self._asked.get(text) is made:
            del self._asked[text]

    async def _words(
        self,
        question: str,
        before: Sequence[str],
        knowledge_base_id: UUID,
        knowledge_base: KnowledgeBase | None,
    ) -> "_Words":
        if knowledge_base is None:
            knowledge_base = await check_can_ask(
                self._database, knowledge_base_id, self._embedder.fingerprint
            )
        else:
            check_model(knowledge_base, self._embedder.fingerprint)
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


class _Tasks:
    """Tasks that end with the block. The error of one that nobody waited for is nobody's."""

    def __init__(self) -> None:
        self._begun: list[asyncio.Task[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._begun:
            task.cancel()

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._begun.append(task)
        return task


async def _complete(
    asked: Asked, embedding: "asyncio.Task[Vectors | EmbedderUnavailable]", words: "_Words"
) -> Asked:
    """What is asked with its vector, or why it has none."""
    vector = await embedding
    if isinstance(vector, EmbedderUnavailable):
        return replace(asked, failure=vector)
    return replace(asked, vector=follow_ups.lent_vector(vector[-1], vector[:-1], words.need))


async def _nearest(completing: "asyncio.Task[Asked]", vectors: ByVectors, wanted: int) -> Near:
    """Nothing where there is to be no vector: whoever waits for what is asked is told why."""
    try:
        asked = await asyncio.shield(completing)
    except EmbedderUnavailable:
        return []
    return await vectors.near(asked.vector, wanted)


@dataclass(frozen=True)
class _Words:
    """The terms to search for with their weights, and how often each occurs in how many chunks."""

    lent: Mapping[str, float]
    need: float
    chunks: int
    frequencies: Mapping[str, int]
    terms: Terms
