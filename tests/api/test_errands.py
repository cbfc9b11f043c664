"""What chat programs such as Open WebUI ask for themselves, in the form in which they send it: a title, tags, questions
to go on with."""

import asyncio
from typing import Any

import pytest

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.conftest import Guest
from tests.api.openai_clients import PATH, QUESTION, key_of, said, sdk
from tests.api.support import until
from tests.api.test_openai_faults import check_error
from tests.conftest import Serve, Server

HISTORY = f"<chat_history>\nUSER: {QUESTION}\nASSISTANT: Basalt [1].\n</chat_history>"
TITLE = f'### Task:\nName the conversation, in JSON alone.\n### Output:\n{{ "title": "…" }}\n{HISTORY}'
TAGS = f'### Task:\nGive one to three tags.\n\n### Output:\n{{ "tags": [] }}\n\n{HISTORY}'


def errand(text: str = TITLE, **more: Any) -> dict[str, Any]:
    return {"model": "default", "messages": said(text), "stream": False, "max_tokens": 1000, **more}


@pytest.mark.parametrize(
    ("text", "words", "content"),
    [
        (TITLE, '{ "title": "The moon" }', '{"title": "The moon"}'),
        (f"\n{TAGS}", '```json\n{ "tags": ["চাঁদ", "Rock"] }\n```', '{"tags": ["চাঁদ", "Rock"]}'),
    ],
)
async def test_a_model_does_it_without_the_documents_and_nothing_is_kept(
    generating: Server, model_server: ModelServer, guest: Guest, text: str, words: str, content: str
) -> None:
    caller = await guest(generating)
    used = {"prompt_tokens": 41, "completion_tokens": 7, "total_tokens": 48}
    model_server.reply(Reply(words, usage=used))
    async with sdk(generating, key_of(caller)) as client:
        answer = await client.chat.completions.create(**errand(text))
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (content, "stop")
    assert choice.message.annotations == []
    assert answer.usage and answer.usage.model_dump(exclude_none=True) == used
    (asked,) = model_server.requests
    assert [one["role"] for one in asked.json["messages"]] == ["user"]
    assert asked.json["messages"][0]["content"] == text.strip()
    listed = await caller.get("/api/v1/conversations", params={"channel": "openai"})
    assert listed.json()["items"] == []


async def test_of_a_long_conversation_the_newest_is_read(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply('{"title": "Long"}'))
    long = TITLE.replace("Basalt [1].", "word " * 20_000 + "the end")
    answer = await generating.http.post(PATH, json=errand(long))
    assert answer.status_code == 200
    sent = model_server.requests[0].json["messages"][0]["content"]
    assert len(sent) < 13_000 and sent.startswith("### Task:") and sent.endswith("the end\n</chat_history>")


@pytest.mark.parametrize("words", ["The moon is made of cheese.", "[1, 2]", '{"title": ', "}{"])
async def test_what_is_no_json_object_is_never_told(
    generating: Server, model_server: ModelServer, words: str
) -> None:
    model_server.reply(Reply(words))
    check_error(await generating.http.post(PATH, json=errand()), 503, "no_json")


async def test_without_a_model_it_is_refused_at_once_and_what_people_type_is_a_question(
    quoting: Server, guest: Guest
) -> None:
    caller = await guest(quoting)
    refused = check_error(await caller.post(PATH, json=errand()), 400, "no_language_model")
    assert "language model" in refused
    listed = await caller.get("/api/v1/conversations", params={"channel": "openai"})
    assert listed.json()["items"] == []
    check_error(await caller.post(PATH, json=errand(model="nowhere")), 404, "model_not_found", "model")
    too_long = errand(TITLE + "x" * 4000, stream=True)
    check_error(await caller.post(PATH, json=too_long), 400, "invalid_input", "messages")
    typed = await caller.post(PATH, json=errand(stream=True))
    assert '"rag"' in typed.text and typed.text.endswith("data: [DONE]\n\n")
    later = errand(messages=said(QUESTION, "Basalt [1].", TITLE))
    assert "rag" in (await caller.post(PATH, json=later)).json()


async def test_a_failing_model_is_an_error(generating: Server, model_server: ModelServer) -> None:
    model_server.reply(Reply(fault=Fault.SERVER_ERROR))
    check_error(await generating.http.post(PATH, json=errand()), 503, "model_failed")


@pytest.mark.parametrize(("words", "status"), [('{"title": "The moon"}', 200), ("The moon.", 503)])
async def test_it_counts_against_the_callers_tokens_though_it_fails(
    serve: Serve, model_server: ModelServer, words: str, status: int
) -> None:
    used = {"prompt_tokens": 41, "completion_tokens": 7, "total_tokens": 48}
    model_server.reply(Reply(words, usage=used))
    async with serve(
        chat_model="openai:test-model", openai_base_url=model_server.base_url, limit_tokens_per_day=40
    ) as server:
        assert (await server.http.post(PATH, json=errand())).status_code == status
        check_error(await server.http.post(PATH, json=errand()), 429, "token_budget_spent")


async def test_a_client_who_leaves_stops_the_model(generating: Server, model_server: ModelServer) -> None:
    model_server.reply(Reply("{} " * 2000, token_delay=0.02))
    asking = asyncio.create_task(generating.http.post(PATH, json=errand()))

    async def is_asked() -> bool:
        return model_server.open_streams == 1

    await until(is_asked)
    asking.cancel()
    await asyncio.wait([asking])
    await model_server.wait_for(lambda: model_server.open_streams == 0)
