"""How the fake model server fails, seen through the clients that the service and its users really have."""

import asyncio
import json

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.contract.conftest import ASK, FIRST_THREE, TEXT, Listen, chat_openai

SLOW = Reply("word " * 200, tokens_per_second=20)

FAULTS: list[tuple[Fault, type[Exception], str]] = [
    (Fault.RATE_LIMITED, openai.RateLimitError, ""),
    (Fault.SERVER_ERROR, openai.InternalServerError, ""),
    (Fault.REFUSED, openai.APIConnectionError, ""),
    (Fault.SILENT_BEFORE_FIRST, openai.APITimeoutError, ""),
    (Fault.SILENT_BETWEEN, openai.APITimeoutError, FIRST_THREE),
    (Fault.CUT, openai.APIConnectionError, FIRST_THREE),
    (Fault.TRUNCATED_JSON, json.JSONDecodeError, FIRST_THREE),  # neither library wraps it
    (Fault.STREAM_ERROR, openai.APIError, FIRST_THREE),
]


@pytest.mark.parametrize(("fault", "error", "before"), FAULTS)
async def test_a_fault_in_a_stream(
    server: ModelServer, listen: Listen, fault: Fault, error: type[Exception], before: str
) -> None:
    server.reply(Reply(TEXT, fault=fault))
    heard: list[str] = []
    with pytest.raises(error) as raised:
        await listen(heard, 0.3 if error is openai.APITimeoutError else 5)
    assert isinstance(raised.value, openai.APITimeoutError) == (error is openai.APITimeoutError)
    assert "".join(heard) == before
    assert len(server.requests) == 1
    await server.wait_for(lambda: server.open_streams == 0, 1)


@pytest.mark.parametrize(
    ("fault", "error", "before"), [row for row in FAULTS if row[0] is not Fault.STREAM_ERROR]
)
async def test_a_fault_without_streaming(
    server: ModelServer, sdk: AsyncOpenAI, fault: Fault, error: type[Exception], before: str
) -> None:
    server.reply(Reply(TEXT, fault=fault))
    with pytest.raises(error):
        await sdk.chat.completions.create(**ASK, timeout=0.3)
    await server.wait_for(lambda: server.open_streams == 0, 1)


async def test_an_error_under_status_200_without_streaming(
    server: ModelServer, http: httpx.AsyncClient
) -> None:
    server.reply(Reply(fault=Fault.STREAM_ERROR))
    with pytest.raises(ValueError, match="had an error"):  # LangChain's own; the SDK returns nothing but None
        await chat_openai(server, http).ainvoke("hi")


async def test_a_missing_end_raises_nothing(server: ModelServer, listen: Listen) -> None:
    server.reply(Reply(TEXT, fault=Fault.NO_DONE))
    heard: list[str] = []
    assert await listen(heard, 5) is None, "no finish reason is all that tells"
    assert "".join(heard) == TEXT


async def test_a_fault_after_more_tokens_than_there_are(server: ModelServer, listen: Listen) -> None:
    server.reply(Reply("two words", fault=Fault.CUT, after_tokens=50))
    heard: list[str] = []
    with pytest.raises(openai.APIConnectionError):
        await listen(heard, 5)
    assert "".join(heard) == "two words"


async def test_a_rate_limit_says_when_to_retry(server: ModelServer, sdk: AsyncOpenAI) -> None:
    server.script(Reply(fault=Fault.RATE_LIMITED, retry_after=1))
    answer = await sdk.with_options(max_retries=1).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == TEXT
    first, second = server.requests
    assert 0.9 < second.at - first.at < 2


async def test_a_client_that_leaves_is_noticed(server: ModelServer, sdk: AsyncOpenAI) -> None:
    server.reply(SLOW)
    stream = await sdk.chat.completions.create(**ASK, stream=True)
    await anext(aiter(stream))
    assert server.open_streams == 1
    await stream.close()
    await server.wait_for(lambda: server.open_streams == 0, 1)


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.SILENT_BEFORE_FIRST, Fault.SILENT_BETWEEN])
async def test_a_cancelled_task_is_noticed(
    server: ModelServer, http: httpx.AsyncClient, fault: Fault
) -> None:
    server.reply(Reply("word " * 200, tokens_per_second=20, fault=fault))
    task = asyncio.create_task(chat_openai(server, http).ainvoke("hi", stream=True))
    await server.wait_for(lambda: server.open_streams == 1)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    assert done and task.cancelled()
    await server.wait_for(lambda: server.open_streams == 0, 1)
