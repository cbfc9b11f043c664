"""The two sides on which a question is searched for, words and vectors, and the few chunks that filters may leave."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.db.repositories.read_back import NONE_STORED, MatchingDocument, ReadBack, Stored
from rag_service.errors import VectorIndexUnavailable
from rag_service.knowledge import follow_ups
from rag_service.knowledge.at_hand import Together, VectorsAtHand
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.lexical import LexicalIndex
from rag_service.knowledge.vectors import VectorIndex

FEW = 8000
"""So many chunks that filters leave are compared one by one, by the vectors that PostgreSQL keeps. The first question
under these filters waits for them to be read, some 13 ms for each 1,000; to look widely takes about 70 for each one."""
FEW_DOCUMENTS = 500
"""So many documents that filters leave are looked at before all else: to read the names of more takes as long as to
search among all."""
NAMED = 1000
"""So many documents that filters leave are named to the words' index: of more, it is asked as widely as the other."""
WIDE = 1000
"""Of more than `FEW`, so many of the nearest of all chunks are looked through for those that pass. So many are also
asked for in the end where all that was found says the same: copies of one document are not to hide the others."""
Scored = list[tuple[UUID, float]]
Near = Scored | VectorIndexUnavailable
"""What the vectors find, best first, or why they find nothing."""


@dataclass(frozen=True)
class Told:
    """What the words find, best first, and the stored vectors of it, as far as there are any."""

    scored: Scored
    stored: Stored = NONE_STORED


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
class Within:
    """The few chunks that pass the filters, with their vectors, and what the words find of them."""

    chunks: Together
    told: Scored


@dataclass(frozen=True)
class Filtered:
    """What passes the filters, as far as it is looked at document by document."""

    words: ByWords
    at_hand: VectorsAtHand
    filters: Filters

    async def few(self, wanted: int) -> Within | None:
        """None where much passes. Raises DatabaseUnavailable."""
        documents = await self.documents(limit=FEW_DOCUMENTS + 1)
        return await self.few_of(documents, wanted) if len(documents) <= FEW_DOCUMENTS else None

    async def documents(self, *, limit: int | None = None) -> list[MatchingDocument]:
        stored = ReadBack(self.words.database)
        return await stored.matching(self.words.knowledge_base_id, self.filters, limit=limit)

    async def few_of(self, documents: Sequence[MatchingDocument], wanted: int) -> Within | None:
        """The same of the documents that pass."""
        if len(documents) > NAMED or sum(document.chunks for document in documents) > FEW:
            return None
        names = [document.id for document in documents]
        chunks, told = await asyncio.gather(
            self.at_hand.of(self.words.fingerprint, documents), self.words.scored(wanted, names)
        )
        return Within(chunks, told)


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
