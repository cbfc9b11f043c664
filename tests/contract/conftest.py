"""The fake model server, and the clients that the service and its users really have."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI

from rag_service.testing.model_server import ModelServer, Reply, split_tokens

pytest.register_assert_rewrite("rag_service.testing.contracts")

TEXT = "Leave is 25 days [1]. It grows [2][12] with age.\n\n假期是二十五天。"
FIRST_THREE = "".join(split_tokens(TEXT)[:3])
ASK: Any = {"model": "fake-chat", "messages": [{"role": "user", "content": "How much leave?"}]}
Listen = Callable[[list[str], float], Awaitable[str | None]]


@pytest.fixture
def server(model_server: ModelServer) -> ModelServer:
    model_server.reply(Reply(TEXT))
    return model_server


@pytest.fixture
async def sdk(server: ModelServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.base_url, api_key="test", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


def chat_openai(server: ModelServer, http: httpx.AsyncClient, **options: Any) -> ChatOpenAI:
    options = {"base_url": server.base_url, "api_key": "test", "http_async_client": http, **options}
    # Without stream_chunk_timeout=None, LangChain waits for each chunk in asyncio.wait_for, which
    # before Python 3.12 loses a cancellation that arrives together with a chunk.
    return ChatOpenAI(
        model="fake-chat", stream_usage=True, max_retries=0, stream_chunk_timeout=None, **options
    )


@pytest.fixture(params=["sdk", "langchain"])
def listen(
    request: pytest.FixtureRequest, server: ModelServer, sdk: AsyncOpenAI, http: httpx.AsyncClient
) -> Listen:
    """Stream an answer through one of the two clients: texts into `heard`, the finish reason back."""

    async def through_sdk(heard: list[str], timeout: float) -> str | None:
        finish: str | None = None
        async for chunk in await sdk.chat.completions.create(**ASK, stream=True, timeout=timeout):
            for choice in chunk.choices:
                heard.append(choice.delta.content or "")
                finish = choice.finish_reason or finish
        return finish

    async def through_langchain(heard: list[str], timeout: float) -> str | None:
        finish: str | None = None
        async for chunk in chat_openai(server, http, timeout=timeout).astream("How much leave?"):
            heard.append(str(chunk.content))
            finish = chunk.response_metadata.get("finish_reason", finish)
        return finish

    return through_sdk if request.param == "sdk" else through_langchain
