"""The vector index: Chroma, through its HTTP client. The one file that imports chromadb.

What lies here is derived from PostgreSQL and may be thrown away. One collection holds one knowledge base
under one embedding model; an entry is a chunk's id and its vector, nothing else.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

import chromadb
import httpx
from chromadb.api import AsyncClientAPI
from chromadb.api.models.AsyncCollection import AsyncCollection
from chromadb.config import Settings as ChromaSettings
from chromadb.errors import ChromaError, NotFoundError

from rag_service.errors import VectorIndexUnavailable
from rag_service.knowledge.embeddings import Vectors

UPSERT = 1000


class VectorIndex(Protocol):
    """Nearest neighbours by cosine similarity, a collection each for a knowledge base under a model."""

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        """Store vectors of shape (len(ids), dimensions); an id that is there is written over."""
        ...

    async def delete(self, collection: str, ids: Sequence[UUID]) -> None:
        """Remove entries; unknown ids and collections are no error."""
        ...

    async def search(self, collection: str, vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
        """The nearest ids with their cosine similarity, best first; empty where there is no collection."""
        ...

    async def ping(self) -> None:
        """Raises VectorIndexUnavailable unless the index answers."""
        ...


def collection_name(knowledge_base_id: UUID, fingerprint: str) -> str:
    """The name of a knowledge base's collection under one embedding model."""
    return f"kb-{knowledge_base_id.hex}-{hashlib.sha256(fingerprint.encode()).hexdigest()[:8]}"


class ChromaIndex:
    """A `VectorIndex` on a Chroma server. Connects on first use, and again after the server was away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: AsyncClientAPI | None = None
        self._connecting = asyncio.Lock()
        self._collections: dict[str, AsyncCollection] = {}

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncClientAPI]:
        try:
            if self._client is None:
                async with self._connecting:
                    if self._client is None:
                        self._client = await self._connect()
            yield self._client
        except (ChromaError, httpx.HTTPError, ValueError, ConnectionError) as error:
            # The collections known by id may be gone with the server that had them.
            self._collections.clear()
            raise VectorIndexUnavailable(
                "The vector index does not answer; try again in a moment."
            ) from error

    async def _connect(self) -> AsyncClientAPI:
        address = urlsplit(self._url)
        if not address.hostname:
            raise VectorIndexUnavailable("CHROMA_URL has no host; it looks like http://127.0.0.1:8001.")
        secure = address.scheme == "https"
        return await chromadb.AsyncHttpClient(
            host=address.hostname,
            port=address.port or (443 if secure else 8000),
            ssl=secure,
            settings=ChromaSettings(anonymized_telemetry=False),
        )

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        async with self._connected() as client:
            target = await self._create(client, collection)
            for start in range(0, len(ids), UPSERT):
                await target.upsert(
                    ids=[str(id) for id in ids[start : start + UPSERT]],
                    embeddings=vectors[start : start + UPSERT],
                )

    async def delete(self, collection: str, ids: Sequence[UUID]) -> None:
        async with self._connected() as client:
            target = await self._get(client, collection)
            if target is None:
                return
            for start in range(0, len(ids), UPSERT):
                await target.delete(ids=[str(id) for id in ids[start : start + UPSERT]])

    async def search(self, collection: str, vector: Vectors, limit: int) -> list[tuple[UUID, float]]:
        async with self._connected() as client:
            target = await self._get(client, collection)
            if target is None:
                return []
            found = await target.query(
                query_embeddings=vector.reshape(1, -1), n_results=limit, include=["distances"]
            )
        distances = (found["distances"] or [[]])[0]
        return [
            (UUID(id), 1.0 - float(distance)) for id, distance in zip(found["ids"][0], distances, strict=True)
        ]

    async def ping(self) -> None:
        async with self._connected() as client:
            await client.heartbeat()

    async def _create(self, client: AsyncClientAPI, name: str) -> AsyncCollection:
        if name not in self._collections:
            self._collections[name] = await client.get_or_create_collection(
                name,
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine", "ef_construction": 128, "ef_search": 128}},
            )
        return self._collections[name]

    async def _get(self, client: AsyncClientAPI, name: str) -> AsyncCollection | None:
        if name not in self._collections:
            try:
                self._collections[name] = await client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None
        return self._collections[name]
