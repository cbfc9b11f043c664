"""The vector index: Chroma, through its HTTP client. The one file that imports chromadb.

What lies here is derived from PostgreSQL and may be thrown away. One collection holds one knowledge base
under one embedding model; an entry is a chunk's id and its vector, nothing else.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Protocol, Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import chromadb
import httpx
from chromadb.api import AsyncClientAPI
from chromadb.api.models.AsyncCollection import AsyncCollection
from chromadb.config import Settings as ChromaSettings
from chromadb.errors import ChromaError, NotFoundError

from rag_service.errors import ConfigurationError, VectorIndexFull, VectorIndexUnavailable
from rag_service.knowledge.chroma_wire import ChromaWire
from rag_service.knowledge.embeddings import Vectors

BATCH = 1000
REQUEST_SECONDS = 30.0
ATTEMPTS = 3
"""How often a collection is opened that is gone as soon as it was found."""

_FULL = re.compile(r"database or disk is full|No space left on device")
"""What SQLite, in which Chroma keeps what it is told, and the system say; Chroma has no code for it."""

T = TypeVar("T")


class VectorIndex(Protocol):
    """Nearest neighbours by cosine similarity, a collection each for a knowledge base under a model."""

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        """Store vectors of shape (len(ids), dimensions); an id that is there is written over."""
        ...

    async def delete(self, collection: str, ids: Sequence[UUID]) -> None:
        """Remove entries; unknown ids and collections are no error."""
        ...

    async def drop(self, collection: str) -> None:
        """Remove a collection with all that is in it; an unknown one is no error."""
        ...

    async def search(
        self, collection: str, vector: Vectors, limit: int, *, ids: Sequence[UUID] | None = None
    ) -> list[tuple[UUID, float]]:
        """The nearest ids with their cosine similarity, best first; empty where there is no collection.

        With `ids` only these are looked at, which is slower; those that are not stored are no error.
        """
        ...

    async def count(self, collection: str) -> int:
        """How many entries there are; 0 where there is no collection."""
        ...

    async def ids(self, collection: str, *, offset: int, limit: int) -> list[UUID]:
        """Ids in the order the index keeps them, from place `offset` on; what is deleted makes the rest move up."""
        ...

    async def present(self, collection: str, ids: Sequence[UUID]) -> set[UUID]:
        """Those of `ids` that are there."""
        ...

    async def collections(self) -> list[str]:
        """The names of all collections."""
        ...

    async def replace(self, collection: str) -> None:
        """Put `successor(collection)` in the collection's place, under its name; what was there is gone.

        Nobody who asks meanwhile finds nothing: where a collection is missing, its successor stands in for it.
        """
        ...

    async def ping(self) -> None:
        """Raises VectorIndexUnavailable unless the index answers."""
        ...


def successor(collection: str) -> str:
    """The name under which a collection is built anew, until it takes the other's place."""
    return f"{collection}-next"


def collection_name(knowledge_base_id: UUID, fingerprint: str) -> str:
    """The name of a knowledge base's collection under one embedding model."""
    return f"kb-{knowledge_base_id.hex}-{hashlib.sha256(fingerprint.encode()).hexdigest()[:8]}"


class ChromaIndex:
    """A `VectorIndex` on a Chroma server. Connects on first use, and again after the server was away.

    Within `async with`, questions go over connections of their own, which are closed at its end.
    """

    def __init__(self, url: str, *, seconds: float = REQUEST_SECONDS) -> None:
        """`seconds` is how long a request may take.

        Raises:
            ConfigurationError: `url` is no address.
        """
        self._base = _base_url(url)
        self._seconds = seconds
        self._client: AsyncClientAPI | None = None
        self._connecting = asyncio.Lock()
        self._collections: dict[str, AsyncCollection] = {}
        self._wire: ChromaWire | None = None

    async def __aenter__(self) -> Self:
        # A credential for Chroma in the environment is known to its client alone.
        if ChromaSettings().chroma_client_auth_provider is None:
            self._wire = ChromaWire(self._base)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncClientAPI]:
        try:
            # Chroma's own client waits for an answer for ever.
            async with asyncio.timeout(self._seconds):
                if self._client is None:
                    async with self._connecting:
                        if self._client is None:
                            self._client = await self._connect()
                yield self._client
        except (ChromaError, httpx.HTTPError, ValueError, OSError, TimeoutError) as error:
            if _FULL.search(str(error)):
                raise VectorIndexFull(
                    "Chroma's disk is full, and these vectors were not stored. Make room there (`df` tells where it "
                    "lacks); what a worker is at goes on by itself then."
                ) from error
            raise VectorIndexUnavailable(
                "The vector index does not answer; try again in a moment."
            ) from error

    async def _connect(self) -> AsyncClientAPI:
        # Chroma keeps every client that it makes, even one that fails to connect: it makes one only for a server
        # that answers.
        async with httpx.AsyncClient(timeout=self._seconds) as probe:
            (await probe.get(f"{self._base}/api/v2/heartbeat")).raise_for_status()
        address = urlsplit(self._base)
        host, port, secure = address.hostname or "", address.port or 0, address.scheme == "https"
        return await chromadb.AsyncHttpClient(
            host=host,
            port=port,
            ssl=secure,
            settings=ChromaSettings(
                # Named here too, so that a CHROMA_SERVER_HOST in the environment does not contradict us.
                chroma_server_host=host,
                chroma_server_http_port=port,
                chroma_server_ssl_verify=True,  # its default trusts any certificate
                anonymized_telemetry=False,
            ),
        )

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        for start in range(0, len(ids), BATCH):
            await self._upsert_batch(collection, ids[start : start + BATCH], vectors[start : start + BATCH])

    async def _upsert_batch(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        names = [str(id) for id in ids]
        await self._in(collection, lambda found: found.upsert(ids=names, embeddings=vectors), create=True)

    async def delete(self, collection: str, ids: Sequence[UUID]) -> None:
        for start in range(0, len(ids), BATCH):
            await self._delete_batch(collection, ids[start : start + BATCH])

    async def _delete_batch(self, collection: str, ids: Sequence[UUID]) -> None:
        names = [str(id) for id in ids]
        await self._in(collection, lambda found: found.delete(ids=names))

    async def drop(self, collection: str) -> None:
        async with self._connected() as client:
            self._collections.pop(collection, None)
            with suppress(NotFoundError):
                await client.delete_collection(collection)

    async def search(
        self, collection: str, vector: Vectors, limit: int, *, ids: Sequence[UUID] | None = None
    ) -> list[tuple[UUID, float]]:
        if ids is None:
            return await self._search(collection, vector, limit, None)
        found: list[tuple[UUID, float]] = []
        for start in range(0, len(ids), BATCH):
            names = await self._stored(collection, [str(id) for id in ids[start : start + BATCH]])
            found += await self._search(collection, vector, limit, names) if names else []
        return sorted(found, key=lambda item: -item[1])[:limit]

    async def _stored(self, collection: str, names: list[str]) -> list[str]:
        """Those of the names that the collection has: a query that names another one is an error to Chroma."""
        answer = await self._in(collection, lambda found: found.get(ids=names, include=[]))
        return answer["ids"] if answer else []

    async def _search(
        self, collection: str, vector: Vectors, limit: int, names: list[str] | None
    ) -> list[tuple[UUID, float]]:
        return await self._in(collection, lambda found: self._nearest(found, vector, limit, names)) or []

    async def _nearest(
        self, collection: AsyncCollection, vector: Vectors, limit: int, names: list[str] | None
    ) -> list[tuple[UUID, float]]:
        if self._wire is not None and names is None:
            nearest = await self._wire.nearest(
                collection.tenant, collection.database, collection.id, vector, limit
            )
            if nearest is not None:
                return nearest
        answer = await collection.query(
            query_embeddings=vector.reshape(1, -1), n_results=limit, ids=names, include=["distances"]
        )
        distances = (answer["distances"] or [[]])[0]
        return [
            (UUID(id), 1.0 - float(distance))
            for id, distance in zip(answer["ids"][0], distances, strict=True)
        ]

    async def count(self, collection: str) -> int:
        return await self._in(collection, lambda found: found.count()) or 0

    async def ids(self, collection: str, *, offset: int, limit: int) -> list[UUID]:
        answer = await self._in(collection, lambda found: found.get(limit=limit, offset=offset, include=[]))
        return [UUID(id) for id in answer["ids"]] if answer else []

    async def present(self, collection: str, ids: Sequence[UUID]) -> set[UUID]:
        found: set[UUID] = set()
        for start in range(0, len(ids), BATCH):
            found |= await self._present_batch(collection, [str(id) for id in ids[start : start + BATCH]])
        return found

    async def _present_batch(self, collection: str, names: list[str]) -> set[UUID]:
        answer = await self._in(collection, lambda found: found.get(ids=names, include=[]))
        return {UUID(id) for id in answer["ids"]} if answer else set()

    async def collections(self) -> list[str]:
        names: list[str] = []
        async with self._connected() as client:
            while page := await client.list_collections(limit=BATCH, offset=len(names)):
                names += [found.name for found in page]
        return names

    async def replace(self, collection: str) -> None:
        async with self._connected() as client:
            new = await client.get_collection(successor(collection), embedding_function=None)
            # Whoever holds the old one is told that it is gone, and opens the successor; then the name.
            with suppress(NotFoundError):
                await client.delete_collection(collection)
            await new.modify(name=collection)
        self._collections = {}

    async def ping(self) -> None:
        async with self._connected() as client:
            await client.heartbeat()

    async def _in(
        self, name: str, act: Callable[[AsyncCollection], Awaitable[T]], *, create: bool = False
    ) -> T | None:
        """What `act` gives for the collection; None where there is no such collection."""
        async with self._connected() as client:
            for _ in range(ATTEMPTS):
                found = self._collections.get(name) or await self._open(client, name, create=create)
                if found is None:
                    return None
                self._collections[name] = found
                try:
                    return await act(found)
                except ChromaError as error:
                    if not _is_gone(error):
                        raise
                    # It was deleted behind our back, and may be there again under another id.
                    self._collections.pop(name, None)
            raise VectorIndexUnavailable("The vector index is being changed; try again in a moment.")

    @staticmethod
    async def _open(client: AsyncClientAPI, name: str, *, create: bool) -> AsyncCollection | None:
        # The name once more: between the first two looks the successor may have taken it.
        for candidate in (name, successor(name), name):
            with suppress(NotFoundError):
                return await client.get_collection(candidate, embedding_function=None)
        if not create:
            return None
        return await client.get_or_create_collection(
            name,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "ef_construction": 128, "ef_search": 128}},
        )


def _is_gone(error: ChromaError) -> bool:
    """Whether the collection was deleted, be it a moment ago: Chroma then misses one of its segments."""
    return isinstance(error, NotFoundError) or re.search(r"Missing \w+ segment", str(error)) is not None


def _base_url(url: str) -> str:
    """Scheme, host and port of `url`. Raises ConfigurationError."""
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError:
        host, port = None, None
    if host is None or address.scheme not in ("http", "https"):
        raise ConfigurationError("CHROMA_URL is no address; it looks like http://127.0.0.1:8001.")
    return f"{address.scheme}://{host}:{port or (443 if address.scheme == 'https' else 8000)}"
