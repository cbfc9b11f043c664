"""What goes wrong, told in OpenAI's form: its clients raise the errors that they have for it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest
from fastapi.routing import iter_route_contexts

from rag_service.app import create_app
from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.conftest import Guest, client_of
from tests.api.openai_clients import PATH, QUESTION, ask, said, sdk
from tests.api.support import messages, until
from tests.conftest import Serve, Server

LONG = Reply("The moon is basalt [1]. " + "and so on " * 500, token_delay=0.02)
CLOSED_SECONDS = 1.0


def check_error(answer: httpx.Response, status: int, code: str, param: str | None = None) -> str:
    """An error in OpenAI's form; gives its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"].endswith("_error") and error["message"]
    assert answer.headers["x-request-id"]
    return str(error["message"])


ASKED: dict[str, Any] = {"model": "default", "messages": said(QUESTION)}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
TOOL = {"type": "function", "function": {"name": "run"}}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": said(QUESTION, "Basalt.")}, "messages"),
        ({"messages": said("  \n")}, "messages"),
        ({"messages": said("x" * 4001)}, "messages"),
        ({"messages": [{"role": "system", "content": "x" * 8001}, *said(QUESTION)]}, "messages"),
        ({"messages": [{"role": "tool", "content": "5"}, *said(QUESTION)]}, "messages.0.role"),
        ({"messages": said("a\x00b")}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": {"$ne": ""}}]}, "messages.0.content"),
        ({"model": None}, "model"),
        ({"model": "a\x00b"}, "model"),
        ({"n": 2}, "n"),
        ({"stop": ["1", "2", "3", "4", "5"]}, "stop"),
        ({"stop": [5]}, "stop.0"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": TOOL}, "tool_choice"),
        ({"functions": [{"name": "run"}], "function_call": {"name": "run"}}, "function_call"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": "perhaps"}, "stream"),
    ],
    ids=lambda case: json.dumps(case)[:50] if isinstance(case, dict) else case,
)
async def test_what_cannot_be_used_is_a_bad_request_that_names_it(
    quoting: Server, change: dict[str, Any], param: str
) -> None:
    answer = await quoting.http.post(PATH, json={**ASKED, **change})
    check_error(answer, 400, "invalid_input", param)


async def test_what_this_server_does_not_know_changes_nothing(quoting: Server) -> None:
    more = {
        "temperature": 0.2,
        "top_p": 1,
        "user": "somebody",
        "seed": 7,
        "metadata": {"role": "admin"},
        "n": 1,
        "stop": None,
        "tools": [TOOL],
        "tool_choice": "auto",
        "functions": [{"name": "run"}],
        "function_call": "none",
        "response_format": {"type": "text"},
        "logprobs": False,
        "stream_options": None,
        "max_tokens": None,
        "owner_id": "another",
        "conversation_id": "7d0f9f3e-0000-4000-8000-000000000001",
        "a_parameter_of_next_year": {"deep": [1]},
    }
    plain, rich = await ask(quoting), await ask(quoting, **more)
    assert rich["choices"] == plain["choices"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"model": "default", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_what_is_no_json_is_a_bad_request(quoting: Server, body: bytes) -> None:
    answer = await quoting.http.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_other_errors_have_their_status_and_openais_form(quoting: Server) -> None:
    check_error(await quoting.http.get("/v1/nothing"), 404, "route_not_found")
    wrong = await quoting.http.get(PATH)
    check_error(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    check_error(await quoting.http.post(PATH, json={**ASKED, "x": "y" * 4_000_000}), 413, "too_large")
    for model in ("nowhere", "../default", "x" * 200, "{x.__class__}"):
        answer = await quoting.http.post(PATH, json={**ASKED, "model": model})
        said = check_error(answer, 404, "model_not_found", "model")
        assert model in said and "/v1/models" in said
    check_error(await quoting.http.get("/v1/models/nowhere"), 404, "model_not_found", "model")


async def test_every_route_refuses_a_request_without_a_key_before_it_reads_the_body(quoting: Server) -> None:
    routes = [
        (method, route.path.replace("{model}", "default"))
        for route in iter_route_contexts(create_app(quoting.services.settings).routes)
        for method in route.methods or ()
        if (route.path or "").startswith("/v1/") and route.path
    ]
    assert len(routes) == 3
    async with client_of(quoting.url, None) as nobody:
        for method, path in routes:
            answer = await nobody.request(method, path, content=b"{")
            check_error(answer, 401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_sdk_raises_its_own_errors(quoting: Server) -> None:
    asked: Any = ASKED
    made, key = await quoting.services.keys.create("soon revoked", "chat")
    async with sdk(quoting, key) as client:
        assert (await client.models.retrieve("default")).owned_by == "rag-service"
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(**{**asked, "model": "nowhere"})
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(**asked, n=3)
        await quoting.services.keys.revoke(made.prefix)
        with pytest.raises(openai.AuthenticationError) as revoked:
            await client.chat.completions.create(**asked, stream=True)
        assert revoked.value.code == "invalid_api_key" and revoked.value.request_id


async def test_a_visitor_of_a_page_has_no_access(quoting: Server) -> None:
    origin = {"Origin": "https://moon.example"}
    site = {"name": "Site", "origins": [origin["Origin"]]}
    embed = (await quoting.http.post("/api/v1/embeds", json=site)).json()
    async with client_of(quoting.url, None) as nobody:
        path = f"/api/v1/embeds/{embed['id']}/token"
        token = (await nobody.post(path, json={}, headers=origin)).json()["token"]
        headers = {"Authorization": f"Bearer {token}", **origin}
        for answer in (
            await nobody.get("/v1/models", headers=headers),
            await nobody.post(PATH, json=ASKED, headers=headers),
        ):
            check_error(answer, 403, "forbidden")
            assert "access-control-allow-origin" not in answer.headers


async def check_healthy(server: Server, model_server: ModelServer) -> None:
    """The next turn is a normal one."""
    model_server.reset()
    assert (await ask(server))["rag"]["degraded"] is False


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.STREAM_ERROR, Fault.NO_DONE])
async def test_a_model_that_fails_in_mid_stream_is_an_error_and_never_a_stop(
    generating: Server, model_server: ModelServer, fault: Fault
) -> None:
    model_server.reply(Reply("The moon is basalt and more [1].", fault=fault, after_tokens=3))
    asked: Any = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
    raw = (await generating.http.post(PATH, json=asked)).text
    *_, last, nothing = raw.split("\n\n")
    assert nothing == "" and "DONE" not in raw and '"finish_reason": "stop"' not in raw
    error = json.loads(last.removeprefix("data: "))["error"]
    assert error["type"] == "server_error" and error["code"].startswith("model_")
    async with sdk(generating) as client:
        read = []
        with pytest.raises(openai.APIError) as raised:
            async for chunk in await client.chat.completions.create(**asked):
                read.append(chunk.choices[0].delta.content)
        assert "".join(piece or "" for piece in read).startswith("The moon")
        assert raised.value.code == error["code"]
        await check_healthy(generating, model_server)  # one more failure, and the model would be left alone
        model_server.reply(Reply("The moon is basalt and more [1].", fault=fault, after_tokens=3))
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(**ASKED)
    await check_healthy(generating, model_server)


async def test_a_model_that_does_not_answer_is_stood_in_for_by_quotes(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply(""))
    proof = (await ask(generating))["rag"]
    assert (proof["degraded"], proof["answered_by"]) == (True, "extractive")
    await check_healthy(generating, model_server)


async def test_one_turn_too_many_is_a_rate_limit_and_a_client_who_left_makes_room(
    serve: Serve, model_server: ModelServer
) -> None:
    options = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    async with serve(**options, limit_concurrent_runs=1) as server:
        await server.upload(("moon.md", "The moon is made of basalt."))
        model_server.script(LONG)
        async with sdk(server) as client:
            asked: Any = ASKED
            stream = await client.chat.completions.create(**asked, stream=True)
            await model_server.wait_for(lambda: model_server.open_streams == 1)
            with pytest.raises(openai.RateLimitError) as refused:
                await client.chat.completions.create(**asked)
            assert refused.value.code and int(refused.value.response.headers["retry-after"]) >= 1
            await stream.close()
            await model_server.wait_for(lambda: model_server.open_streams == 0, CLOSED_SECONDS)

            async def has_room() -> bool:
                return (await server.http.post(PATH, json=ASKED)).status_code == 200

            await until(has_room)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_who_leaves_stops_the_model(
    generating: Server, model_server: ModelServer, guest: Guest, streamed: bool
) -> None:
    model_server.reply(LONG)
    caller = await guest(generating)
    asking = asyncio.create_task(caller.post(PATH, json={**ASKED, "stream": streamed}))
    await model_server.wait_for(lambda: model_server.open_streams == 1)
    asking.cancel()
    await asyncio.wait([asking])
    await model_server.wait_for(lambda: model_server.open_streams == 0, CLOSED_SECONDS)
    await until(ended(caller, "stopped"))


def ended(caller: httpx.AsyncClient, state: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        listed = (await caller.get("/api/v1/conversations", params={"channel": "openai"})).json()["items"]
        return [(await messages(caller, item["id"]))[-1]["state"] for item in listed] == [state]

    return check
