"""What the fake model server answers, seen through the clients that the service and its users really have."""

import asyncio
import json
import math
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessageChunk
from openai import AsyncOpenAI

from rag_service.testing.model_server import Fault, ModelServer, Reply, split_tokens
from tests.contract.conftest import ASK, TEXT, Listen


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
