"""An embedder without a model: words hashed into a vector, so that texts that share words are near."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.sentences import words


class HashedWords:
    """A deterministic `Embedder`. `batches` counts the texts of each call, to see what was embedded when."""

    def __init__(self, dimensions: int = 256) -> None:
        self.dimensions = dimensions
        self.max_tokens = 254
        self.fingerprint = f"hashed-words@{dimensions}"
        self.batches: list[int] = []

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]

    def pieces_a_letter(self, text: str) -> float | None:
        return None

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(len(texts))
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in words(text):
                place = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
                vectors[row, place % self.dimensions] += 1.0
        vectors[~vectors.any(axis=1), 0] = 1.0  # no words: still a unit vector
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    async def embed_question(self, text: str) -> Vectors:
        return np.asarray((await self.embed_texts([text]))[0], dtype=np.float32)
