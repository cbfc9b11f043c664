"""The vector indexes: the exact one in memory, and Chroma, which also comes and goes."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from rag_service.errors import ConfigurationError, VectorIndexUnavailable
from rag_service.knowledge.vectors import ChromaIndex, VectorIndex, collection_name, successor
from rag_service.supervisor.chroma import LocalChroma
from rag_service.testing.contracts.vector_index import VectorIndexContract, new_ids, unit_vectors
from rag_service.testing.exact_index import ExactIndex

Asking = Callable[[str], Awaitable[ChromaIndex]]


@pytest.fixture
def collection() -> str:
    return collection_name(uuid4(), "a model")


class TestExactIndex(VectorIndexContract):
    @pytest.fixture
    def index(self) -> VectorIndex:
        return ExactIndex()

    async def test_it_can_be_made_to_fail(self, collection: str) -> None:
        index = ExactIndex()
        index.available = False
        with pytest.raises(VectorIndexUnavailable):
            await index.search(collection, unit_vectors(1)[0], 1)


class TestChromaIndex(VectorIndexContract):
    @pytest.fixture
    def index(self, chroma: LocalChroma) -> VectorIndex:
        return ChromaIndex(chroma.url)


class TestChromaIndexOnItsOwnWire(VectorIndexContract):
    @pytest.fixture
    async def index(self, chroma: LocalChroma) -> AsyncIterator[VectorIndex]:
        async with ChromaIndex(chroma.url) as index:
            yield index


@pytest.fixture(params=["wire", "client"])
async def asking(request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    """Makes indexes that ask over connections of their own, or through Chroma's client."""
    async with AsyncExitStack() as stack:

        async def make(url: str) -> ChromaIndex:
            index = ChromaIndex(url)
            return await stack.enter_async_context(index) if request.param == "wire" else index

        yield make


async def drop(chroma: LocalChroma, collection: str) -> None:
    """Delete a collection as another process would: behind the index's back."""
    path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{collection}"
    async with httpx.AsyncClient(base_url=chroma.url, trust_env=False) as http:
        (await http.delete(path)).raise_for_status()


async def test_a_collection_deleted_behind_its_back_is_empty_at_once_and_can_be_filled_again(
    chroma: LocalChroma, collection: str, asking: Asking
) -> None:
    index, ids, vectors = await asking(chroma.url), new_ids(2), unit_vectors(2)
    await index.upsert(collection, ids, vectors)
    await drop(chroma, collection)
    assert await index.search(collection, vectors[0], 5) == []
    await index.upsert(collection, ids, vectors)
    await drop(chroma, collection)
    await index.delete(collection, ids)
    await index.upsert(collection, ids, vectors)
    await drop(chroma, collection)
    await index.upsert(collection, ids, vectors)
    assert len(await index.search(collection, vectors[0], 5)) == 2


async def test_a_collection_made_anew_by_another_process_is_found(
    chroma: LocalChroma, collection: str, asking: Asking
) -> None:
    index, ids, vectors = await asking(chroma.url), new_ids(2), unit_vectors(2)
    await index.upsert(collection, ids[:1], vectors[:1])
    await drop(chroma, collection)
    await ChromaIndex(chroma.url).upsert(collection, ids[1:], vectors[1:])
    assert [id for id, _ in await index.search(collection, vectors[0], 5)] == ids[1:]


async def test_who_knew_the_old_collection_never_finds_nothing_while_it_is_replaced(
    chroma: LocalChroma, collection: str, asking: Asking
) -> None:
    reader, writer, builder = [await asking(chroma.url) for _ in range(3)]
    ids, vectors = new_ids(3), unit_vectors(3)
    await reader.upsert(collection, ids[:1], vectors[:1])
    await writer.upsert(collection, ids[:1], vectors[:1])
    await builder.upsert(successor(collection), ids[:1], vectors[:1])
    await drop(chroma, collection)  # as far as a builder that is killed in the midst of it
    assert (await reader.search(collection, vectors[0], 1))[0][0] == ids[0]
    await writer.upsert(collection, ids[1:2], vectors[1:2])
    await builder.replace(collection)
    await writer.upsert(collection, ids[2:], vectors[2:])
    for index in (reader, ChromaIndex(chroma.url)):
        assert {id for id, _ in await index.search(collection, vectors[0], 5)} == set(ids)


async def test_a_server_that_comes_up_late_goes_away_and_comes_back(
    tmp_path: Path, collection: str, asking: Asking
) -> None:
    server = LocalChroma(tmp_path)
    index, ids, vectors = await asking(server.url), new_ids(3), unit_vectors(3)
    for attempt in (
        index.ping(),
        index.search(collection, vectors[0], 1),
        index.upsert(collection, ids, vectors),
        index.delete(collection, ids),
    ):
        with pytest.raises(VectorIndexUnavailable):
            await attempt
    try:
        await server.start()
        await index.upsert(collection, ids, vectors)
        await server.stop()
        for _ in range(2):
            with pytest.raises(VectorIndexUnavailable):
                await index.search(collection, vectors[0], 1)
        await server.start()
        assert (await index.search(collection, vectors[2], 1))[0][0] == ids[2]
    finally:
        await server.stop()


@pytest.fixture
async def silent_url() -> AsyncIterator[str]:
    """A server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_server_that_never_answers_is_unavailable_in_bounded_time(silent_url: str) -> None:
    with pytest.raises(VectorIndexUnavailable):
        await ChromaIndex(silent_url, seconds=0.1).ping()


async def test_variables_of_chromas_own_do_not_lead_it_astray(
    chroma: LocalChroma, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMA_SERVER_HOST", "elsewhere.invalid")
    monkeypatch.setenv("CHROMA_SERVER_HTTP_PORT", "1")
    await ChromaIndex(chroma.url).ping()


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://localhost", "http://", "http://localhost:99999", ""]
)
def test_what_is_no_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CHROMA_URL"):
        ChromaIndex(url)


def test_a_collection_is_named_by_its_knowledge_base_and_its_model() -> None:
    one, other = uuid4(), uuid4()
    names = {collection_name(one, "a"), collection_name(one, "b"), collection_name(other, "a")}
    assert len(names) == 3
    assert collection_name(one, "a") == collection_name(one, "a")
