"""The embedders: the fake one, the product's own model, and one behind OpenAI's protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from rag_service.errors import ConfigurationError, EmbedderUnavailable
from rag_service.knowledge.embeddings import Embedder, load_embedder
from rag_service.knowledge.openai_embedder import OpenAIEmbedder
from rag_service.settings import Settings
from rag_service.testing.contracts.embedder import EmbedderContract
from rag_service.testing.embedder import HashedWords
from rag_service.testing.model_server import ModelServer


class TestHashedWords(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashedWords()


class TestTheBuiltInModel(EmbedderContract):
    @pytest.fixture
    def embedder(self, real_embedder: Embedder) -> Embedder:
        return real_embedder


def settings(server: ModelServer) -> Settings:
    return Settings(
        _env_file=None,
        embedding_model="openai:fake-embedding",
        openai_base_url=server.base_url,
        openai_api_key=SecretStr("test"),
    )


@asynccontextmanager
async def openai_embedder(server: ModelServer) -> AsyncIterator[OpenAIEmbedder]:
    embedder = load_embedder(settings(server))
    assert isinstance(embedder, OpenAIEmbedder)
    try:
        yield embedder
    finally:
        await embedder.close()


class TestOpenAIEmbedder(EmbedderContract):
    @pytest.fixture
    async def embedder(self, model_server: ModelServer) -> AsyncIterator[Embedder]:
        async with openai_embedder(model_server) as embedder:
            yield embedder

    def test_it_sends_texts_not_token_numbers(self, embedder: Embedder, model_server: ModelServer) -> None:
        [request] = model_server.requests
        assert request.path == "/v1/embeddings"
        assert all(isinstance(text, str) for text in request.json["input"])

    async def test_its_fingerprint_is_the_same_in_every_process(
        self, embedder: Embedder, model_server: ModelServer
    ) -> None:
        async with openai_embedder(model_server) as other:
            assert other.fingerprint == embedder.fingerprint


async def test_a_server_that_went_away_is_unavailable_and_used_again_when_it_is_back() -> None:
    server = ModelServer()
    server.start()
    async with openai_embedder(server) as embedder:
        server.stop()
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_texts(["text"])
        with server:
            assert (await embedder.embed_texts(["text"])).shape == (1, embedder.dimensions)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with ModelServer() as server:
        pass
    with pytest.raises(EmbedderUnavailable, match="fake-embedding"):
        load_embedder(settings(server))


def test_a_served_model_without_a_server_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY.*OPENAI_BASE_URL"):
        load_embedder(Settings(_env_file=None, embedding_model="openai:text-embedding-3-small"))
