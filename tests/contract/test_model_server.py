"""The fake model server, seen through the clients that the service and its users really have."""

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI

from rag_service.testing.model_server import Fault, ModelServer, Reply, split_tokens

TEXT = "Leave is 25 days [1]. It grows [2][12] with age.\n\n假期是二十五天。"
FIRST_THREE = "".join(split_tokens(TEXT)[:3])
SLOW = Reply("word " * 200, tokens_per_second=20)
ASK: Any = {"model": "fake-chat", "messages": [{"role": "user", "content": "How much leave?"}]}
Listen = Callable[[list[str], float], Awaitable[str | None]]


@pytest.fixture(scope="module")
def running() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    running.reset(Reply(TEXT))
    return running


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


async def test_the_stream_is_the_text(server: ModelServer, listen: Listen) -> None:
    heard: list[str] = []
    assert await listen(heard, 5) == "stop"
    assert "".join(heard) == TEXT
    assert "1" in heard, "the first marker comes in pieces"
    [request] = server.requests
    assert (request.path, request.json["stream"]) == ("/v1/chat/completions", True)
    assert request.headers["authorization"] == "Bearer test"


async def test_events_are_in_the_order_that_openai_sends(
    server: ModelServer, http: httpx.AsyncClient
) -> None:
    body = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    answer = await http.post(f"{server.base_url}/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert chunks[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == len(split_tokens(TEXT)) == len(chunks) - 3
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_usage_comes_only_when_asked_for(server: ModelServer, sdk: AsyncOpenAI) -> None:
    async for chunk in await sdk.chat.completions.create(**ASK, stream=True):
        assert chunk.choices and "usage" not in chunk.model_fields_set
    usage = {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}
    server.reply(Reply("yes", usage=usage))
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    seen = [chunk.usage async for chunk in await sdk.chat.completions.create(**ASK, **options)]
    assert seen[:-1] == [None] * (len(seen) - 1)
    assert seen[-1].total_tokens == 15


async def test_without_streaming(server: ModelServer, sdk: AsyncOpenAI) -> None:
    server.reply(Reply(TEXT, finish_reason="length"))
    answer = await sdk.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None and answer.usage.completion_tokens == len(split_tokens(TEXT))


async def test_init_chat_model_streams_with_usage(server: ModelServer, http: httpx.AsyncClient) -> None:
    options: Any = {"base_url": server.base_url, "api_key": "test", "http_async_client": http}
    model = init_chat_model("openai:fake-chat", stream_usage=True, **options)
    whole: AIMessageChunk | None = None
    async for chunk in model.astream("How much leave?"):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None and whole.content == TEXT
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == len(split_tokens(TEXT))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("Sources:\n[1] Leave is 25 days. More later.\n[2] No.\n\nHow much?", "Leave is 25 days. [1]"),
        (
            '<source number="1" title="a">\nIt is 3.5 m! Yes.\n</source>\n<source number="2">',
            "It is 3.5 m! [1]",
        ),
        ('<source number="1">假期是二十五天。很好。</source>', "假期是二十五天。 [1]"),
        ("History: none\nHow much leave is there?\n", "How much leave is there?"),
        ([{"type": "text", "text": "[1] Parts count too."}], "Parts count too. [1]"),
        ("", ""),
    ],
)
async def test_the_tiny_model_answers_from_source_one(
    server: ModelServer, sdk: AsyncOpenAI, asked: Any, answer: str
) -> None:
    server.reset()
    messages: Any = [{"role": "user", "content": asked}, {"role": "assistant", "content": "?"}]
    said = await sdk.chat.completions.create(model="m", messages=messages)
    assert said.choices[0].message.content == answer


async def test_the_script_comes_before_the_default(server: ModelServer, sdk: AsyncOpenAI) -> None:
    server.script(Reply("one"), Reply(lambda body: body["model"]))
    said = [(await sdk.chat.completions.create(**ASK)).choices[0].message.content for _ in range(3)]
    assert said == ["one", "fake-chat", TEXT]


async def test_embeddings_plain_and_base64(server: ModelServer, sdk: AsyncOpenAI) -> None:
    texts = ["days of leave", "leave in days", "a red bicycle", ""]
    packed = await sdk.embeddings.create(model="e", input=texts)
    plain = await sdk.embeddings.create(model="e", input=texts, encoding_format="float")
    assert [request.json["encoding_format"] for request in server.requests] == ["base64", "float"]
    vectors = [item.embedding for item in plain.data]
    for item, vector in zip(packed.data, vectors, strict=True):
        assert list(item.embedding) == pytest.approx(vector, abs=1e-6)
        assert len(vector) == 384 and math.hypot(*vector) == pytest.approx(1)
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:3])
    assert near > 0.5 > far
    assert plain.usage.total_tokens == plain.usage.prompt_tokens == 9


async def test_embeddings_of_one_text_and_of_token_ids(sdk: AsyncOpenAI) -> None:
    one = await sdk.embeddings.create(model="e", input="leave", dimensions=8)
    assert [len(item.embedding) for item in one.data] == [8]
    assert len((await sdk.embeddings.create(model="e", input=[1, 2, 3])).data) == 1
    assert len((await sdk.embeddings.create(model="e", input=[[1, 2], [3]])).data) == 2


async def test_models_are_listed(sdk: AsyncOpenAI) -> None:
    assert [model.id async for model in sdk.models.list()] == ["fake-chat", "fake-embedding"]


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


async def test_200_streams_keep_their_pace(server: ModelServer) -> None:
    server.reply(Reply("word " * 19, first_token_delay=0.5, tokens_per_second=20))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=10, limits=limits) as http:
        url, body = f"{server.base_url}/chat/completions", {**ASK, "stream": True}
        start = time.monotonic()
        calls = [asyncio.create_task(http.post(url, json=body)) for _ in range(200)]
        await server.wait_for(lambda: server.open_streams == 200, 5)
        answers = await asyncio.gather(*calls)
    assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)
    assert 1.4 < time.monotonic() - start < 8


async def test_stopping_cuts_silent_streams_and_keeps_the_port(http: httpx.AsyncClient) -> None:
    silent = Reply(fault=Fault.SILENT_BEFORE_FIRST)
    async with ModelServer(silent) as server:
        url = server.base_url
        call = asyncio.create_task(http.post(f"{url}/chat/completions", json={**ASK, "stream": True}))
        await server.wait_for(lambda: server.open_streams == 1)
        start = time.monotonic()
    assert time.monotonic() - start < 2
    with pytest.raises(httpx.RemoteProtocolError):
        await call
    with pytest.raises(httpx.ConnectError):
        await http.get(f"{url}/models")
    with server:
        assert server.base_url == url
        assert (await http.get(f"{url}/models")).status_code == 200
    server.stop()


def test_it_runs_by_hand() -> None:
    command = [sys.executable, "-m", "rag_service.testing.model_server", "--tokens-per-second", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip().removeprefix("OPENAI_BASE_URL=")
            assert httpx.get(f"{url}/models", trust_env=False).json()["object"] == "list"
        finally:
            process.terminate()


def test_tokens_join_to_the_text_and_cut_markers_in_three_ways() -> None:
    for text in ("", " ", TEXT, "a[1]b\t[x] ]][ [22]\n\n", "e\u0301 👩‍👩‍👧 ünïcödé_word"):
        assert "".join(split_tokens(text)) == text
    assert split_tokens("so [1] [2] [12]") == ["so", " [", "1", "]", " [2]", " [12", "]"]
