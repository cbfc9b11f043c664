"""Vectors of the chunks of a few documents, kept between questions: the same filters are set again and again."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from rag_service.db.engine import Database
from rag_service.db.repositories.read_back import MatchingDocument, ReadBack, Stored
from rag_service.knowledge.embeddings import Vectors

MOST_BYTES = 64_000_000
"""Of all vectors that are kept; those of the documents that were asked last."""

_Key = tuple[str, frozenset[UUID]]


@dataclass(frozen=True)
class Together:
    """Chunks with their vectors, of shape (len(ids), dimensions), and the row of each."""

    ids: Sequence[UUID]
    vectors: NDArray[np.float32]
    rows: dict[UUID, int]

    @classmethod
    def of(cls, stored: Stored) -> "Together":
        return cls(stored.ids, stored.vectors, {chunk_id: row for row, chunk_id in enumerate(stored.ids)})

    def compared(self, vector: Vectors) -> "Compared":
        return Compared(self, self.vectors @ vector if len(self.ids) else np.zeros(0, np.float32))


@dataclass(frozen=True)
class Compared:
    """Chunks with their cosine to a question's vector."""

    chunks: Together
    cosines: NDArray[np.float32]

    def nearest(self, wanted: int) -> list[tuple[UUID, float]]:
        """The nearest with their cosine, best first."""
        some = np.argpartition(-self.cosines, wanted)[:wanted] if wanted < len(self.cosines) else ...
        rows = np.arange(len(self.cosines))[some]
        ordered = rows[np.argsort(-self.cosines[rows])]
        return [(self.chunks.ids[row], float(self.cosines[row])) for row in ordered.tolist()]

    def of(self, ids: Iterable[UUID]) -> dict[UUID, float]:
        """The cosines of those of these chunks that are known."""
        rows = self.chunks.rows
        return {id: float(self.cosines[rows[id]]) for id in ids if id in rows}


class VectorsAtHand:
    """Reads the vectors of documents from PostgreSQL, and keeps them. A version's never change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[_Key, Together] = OrderedDict()
        self._bytes = 0

    async def of(self, model: str, documents: Sequence[MatchingDocument]) -> Together:
        """All that are known of the documents' active versions. Raises DatabaseUnavailable."""
        versions = frozenset(document.version_id for document in documents)
        found = self._kept.get((model, versions))
        if found is None:
            found = Together.of(await ReadBack(self._database).vectors_of(model, list(versions)))
            # Those that are not stored yet may be so for the next question.
            if len(found.ids) == sum(document.chunks for document in documents):
                self._keep((model, versions), found)
        else:
            self._kept.move_to_end((model, versions))
        return found

    def _keep(self, key: _Key, found: Together) -> None:
        if key not in self._kept:
            self._kept[key] = found
            self._bytes += found.vectors.nbytes
        while self._bytes > MOST_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.vectors.nbytes
