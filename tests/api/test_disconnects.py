"""Readers who leave, and turns that are stopped: what was said is kept, and the model is told: at once of a stop, of a
reader who does not come back after the time of grace."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.conftest import GRACE_SECONDS, Guest
from tests.api.support import Frame, check_problem, live_frames, messages, stored, stream, until, whole
from tests.conftest import Server

QUESTION = "What is the moon made of?"
LONG = Reply("The moon is basalt [1]. " + "and so on " * 500, token_delay=0.02)
CLOSED_SECONDS = 1.0
IDLE = 60
A_KEY = 20
"""As many as one key may have at once."""
"""Streams at the same time; the server has five connections to the database."""


async def leave_after(http: httpx.AsyncClient, name: str, message: str = QUESTION) -> list[Frame]:
    """Read a stream up to the first event of that name, and hang up."""
    seen = []
    request = {"message": message}
    async with (
        http.stream("POST", "/api/v1/chat", json=request) as answer,
        aclosing(live_frames(answer)) as frames,
    ):
        async for frame in frames:
            seen.append(frame)
            if frame.name == name:
                break
    return seen


def has_state(http: httpx.AsyncClient, start: dict[str, Any], state: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return bool((await stored(http, start))["state"] == state)

    return check


@pytest.fixture
def server(pair: tuple[Server, Server]) -> Server:
    """A server that gives up a turn which nobody follows for half a second."""
    return pair[0]


async def test_who_leaves_in_mid_stream_and_stays_away_stops_the_model_and_keeps_what_was_said(
    server: Server, model_server: ModelServer
) -> None:
    model_server.reply(LONG)
    start, *_, delta = await leave_after(server.http, "delta")
    await model_server.wait_for(lambda: model_server.open_streams == 0, GRACE_SECONDS + CLOSED_SECONDS)
    await until(has_state(server.http, start.data, "stopped"))
    kept = await stored(server.http, start.data)
    assert kept["content"].startswith(delta.data["text"])
    assert len(kept["content"]) < 1000
    assert kept["finish_reason"] == "stopped"
    assert kept["model"] == "openai:test-model"
    assert kept["sources"]


async def test_who_leaves_before_the_first_word_stops_the_model(
    server: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply(fault=Fault.SILENT_BEFORE_FIRST))
    start, _ = await leave_after(server.http, "sources")
    await model_server.wait_for(lambda: len(model_server.requests) == 1)
    await model_server.wait_for(lambda: model_server.open_streams == 0, GRACE_SECONDS + CLOSED_SECONDS)
    await until(has_state(server.http, start.data, "stopped"))
    assert (await stored(server.http, start.data))["content"] == ""


async def test_who_leaves_while_the_question_is_being_saved_stops_the_model(
    server: Server, model_server: ModelServer, guest: Guest
) -> None:
    model_server.reply(LONG)
    caller = await guest(server)
    async with server.services.database.transaction() as session:
        await session.execute(text("LOCK TABLE conversations IN SHARE ROW EXCLUSIVE MODE"))
        hang_up = await ask_on_a_socket(server, caller)

        async def is_waiting() -> bool:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(await session.scalar(waiting))

        await until(is_waiting)
        await hang_up()
        await caller.get("/health/live")  # one turn of the server's loop: it has seen the connection go

    async def is_stopped() -> bool:
        listed = (await caller.get("/api/v1/conversations")).json()["items"]
        return [(await messages(caller, item["id"]))[-1]["state"] for item in listed] == ["stopped"]

    await until(is_stopped, GRACE_SECONDS + CLOSED_SECONDS)
    await model_server.wait_for(lambda: model_server.open_streams == 0, CLOSED_SECONDS)


async def ask_on_a_socket(server: Server, caller: httpx.AsyncClient) -> Callable[[], Awaitable[None]]:
    """Send a question whose answer nobody reads; gives what hangs up."""
    body = json.dumps({"message": QUESTION}).encode()
    address = urlsplit(server.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [
        "POST /api/v1/chat HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: {caller.headers['authorization']}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()

    async def hang_up() -> None:
        writer.close()
        await writer.wait_closed()

    return hang_up


async def test_a_stopped_answer_can_be_followed_up(server: Server, model_server: ModelServer) -> None:
    model_server.script(LONG)
    start, *_ = await leave_after(server.http, "delta")
    assert (await server.http.post(f"/api/v1/chat/{start.data['run_id']}/stop")).status_code == 204
    await until(has_state(server.http, start.data, "stopped"))
    model_server.script(Reply(QUESTION))  # how the model words it with what was said before
    body = await whole(server.http, "And why?", conversation_id=start.data["conversation_id"])
    assert body["finish_reason"] == "stop"


async def test_many_idle_streams_hold_no_connection_and_neither_do_readers_who_leave(
    server: Server, model_server: ModelServer, guest: Guest
) -> None:
    async def all_connections_rest() -> bool:
        return await connections(server) <= {"idle"}

    callers = [await guest(server) for _ in range(IDLE // A_KEY)]
    model_server.reply(Reply("The moon is basalt [1].", fault=Fault.SILENT_BETWEEN))
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as many,
        AsyncExitStack() as streams,
    ):
        one = asyncio.Lock()  # at a time: what is tried here is holding many, not beginning them

        async def open_one(headers: httpx.Headers) -> None:
            async with one:
                await begin(headers)

        async def begin(headers: httpx.Headers) -> None:
            request = many.stream("POST", "/api/v1/chat", json={"message": QUESTION}, headers=headers)
            answer = await streams.enter_async_context(request)
            frames = await streams.enter_async_context(aclosing(live_frames(answer)))
            while (await anext(frames)).name != "delta":
                pass

        await asyncio.gather(*(open_one(caller.headers) for caller in callers for _ in range(A_KEY)))
        assert model_server.open_streams == IDLE
        # Not at each moment: the server looks at the database every second. What is held does not come back.
        await until(all_connections_rest)
        listed = [
            (caller, item)
            for caller in callers
            for item in (await caller.get("/api/v1/conversations?limit=200")).json()["items"]
        ]
        model_server.reset()
        body = await whole(server.http, QUESTION)
        assert (body["finish_reason"], body["degraded"]) == ("stop", False)
    await model_server.wait_for(lambda: model_server.open_streams == 0, 20)

    async def all_ended() -> bool:
        states = [(await messages(caller, item["id"]))[-1]["state"] for caller, item in listed]
        return states == ["stopped"] * IDLE

    await until(all_ended, 20)
    await until(all_connections_rest)


async def connections(server: Server) -> set[str]:
    """What the server's connections to the database are doing, but for the one that asks."""
    async with server.services.database.transaction() as session:
        rows = await session.execute(
            text(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND application_name = 'rag-api'"
            )
        )
        return set(rows.scalars())


async def test_a_turn_is_stopped_by_its_caller_alone_and_its_stream_ends_properly(
    generating: Server, model_server: ModelServer, guest: Guest
) -> None:
    model_server.reply(LONG)
    stranger = await guest(generating)
    frames: list[Frame] = []
    async with generating.http.stream("POST", "/api/v1/chat", json={"message": QUESTION}) as answer:
        async for frame in live_frames(answer):
            frames.append(frame)
            if [item.name for item in frames].count("delta") == 1 and frame.name == "delta":
                path = f"/api/v1/chat/{frames[0].data['run_id']}/stop"
                check_problem(await stranger.post(path), 404, "run_not_found")
                assert (await generating.http.post(path)).status_code == 204
    assert frames[-1].name == "done"
    assert frames[-1].data["finish_reason"] == "stopped"
    assert frames[-1].data["model"] == "openai:test-model"
    kept = await stored(generating.http, frames[0].data)
    assert kept["state"] == "stopped"
    assert kept["content"] == "".join(frame.data["text"] for frame in frames if frame.name == "delta")
    await model_server.wait_for(lambda: model_server.open_streams == 0, CLOSED_SECONDS)


async def test_a_turn_that_is_stopped_from_many_sides_is_still_saved(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(LONG)
    async with generating.http.stream("POST", "/api/v1/chat", json={"message": QUESTION}) as answer:
        frames = live_frames(answer)
        start = (await anext(frames)).data
        await anext(frames)
        await anext(frames)
        stops = [generating.http.post(f"/api/v1/chat/{start['run_id']}/stop") for _ in range(5)]
        answers = await asyncio.gather(*stops)
    assert {answer.status_code for answer in answers} <= {204, 404}
    await until(has_state(generating.http, start, "stopped"))


async def test_a_turn_that_has_ended_cannot_be_stopped(quoting: Server) -> None:
    turn = await stream(quoting.http, QUESTION)
    answer = await quoting.http.post(f"/api/v1/chat/{turn.start['run_id']}/stop")
    check_problem(answer, 404, "run_not_found")
