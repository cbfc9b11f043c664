"""Turns that are taken up again: on the server that makes them and on another, by their caller alone, once a key."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import Guest
from tests.api.support import Frame, check_problem, frames_of, live_frames, stored, stream, turn_of, until
from tests.api.test_disconnects import leave_after
from tests.conftest import Server

QUESTION = "What is the moon made of?"
SLOW = Reply("The moon is basalt [1]. " + "and so on, " * 40 + "quite.", token_delay=0.02)
ENDLESS = Reply("The moon is basalt [1]. " + "and so on " * 5000, token_delay=0.02)
Pair = tuple[Server, Server]


async def resumed(http: httpx.AsyncClient, run_id: str, after: int | None = None) -> list[Frame]:
    """The rest of a turn's stream, read to its end."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with asyncio.timeout(20):
        answer = await http.get(f"/api/v1/chat/{run_id}/events", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return frames_of(answer.text) if answer.text else []


async def sql(server: Server, statement: str, **values: object) -> Any:
    async with server.services.database.transaction() as session:
        result = await session.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]


async def test_a_lost_stream_goes_on_where_it_was_on_any_server(
    pair: Pair, model_server: ModelServer
) -> None:
    model_server.reply(SLOW)
    seen = await leave_after(pair[0].http, "delta")
    run_id, last = seen[0].data["run_id"], seen[-1].id
    rests = await asyncio.gather(*(resumed(server.http, run_id, last) for server in pair))
    for rest in rests:
        turn = turn_of([*seen, *rest])
        assert turn.end.name == "done"
        assert turn.text == SLOW.text
    assert rests[0] == rests[1]
    assert len(model_server.requests) == 1
    kept = await stored(pair[0].http, seen[0].data)
    assert (kept["state"], kept["content"]) == ("complete", SLOW.text)
    for server in pair:  # what has ended is told again, from the database
        assert await resumed(server.http, run_id) == [*seen, *rests[0]]
        assert await resumed(server.http, run_id, rests[0][-1].id) == []


async def test_a_reader_on_another_server_keeps_a_turn_going(pair: Pair, model_server: ModelServer) -> None:
    model_server.reply(
        Reply("and so on " * 40, token_delay=0.05)
    )  # four times as long as a turn is left alone
    seen = await leave_after(pair[0].http, "delta")
    rest = await resumed(pair[1].http, seen[0].data["run_id"], seen[-1].id)
    assert rest[-1].name == "done"
    assert rest[-1].data["finish_reason"] == "stop"


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30, "", "99999"])
async def test_an_event_id_that_was_never_given_is_refused(pair: Pair, value: str) -> None:
    turn = await stream(pair[0].http, QUESTION)
    for server in pair:
        answer = await server.http.get(
            f"/api/v1/chat/{turn.start['run_id']}/events", headers={"Last-Event-ID": value}
        )
        check_problem(answer, 422, "invalid_input")


async def test_a_foreign_turn_does_not_exist(pair: Pair, model_server: ModelServer, guest: Guest) -> None:
    model_server.reply(ENDLESS)
    seen = await leave_after(pair[0].http, "delta")
    run_id = seen[0].data["run_id"]
    for server in pair:
        stranger = await guest(server)
        for method, what in (("GET", "events"), ("POST", "stop")):
            foreign = await stranger.request(method, f"/api/v1/chat/{run_id}/{what}")
            missing = await stranger.request(method, f"/api/v1/chat/{uuid4()}/{what}")
            problems = [check_problem(answer, 404, "run_not_found") for answer in (foreign, missing)]
            for problem in problems:
                problem.pop("request_id")
            assert problems[0] == problems[1]
    rest = await asyncio.gather(
        resumed(pair[1].http, run_id), pair[0].http.post(f"/api/v1/chat/{run_id}/stop")
    )
    assert rest[0][-1].data["finish_reason"] == "stopped"


async def test_a_turn_is_stopped_on_any_server_within_a_second(pair: Pair, model_server: ModelServer) -> None:
    model_server.reply(ENDLESS)
    frames: list[Frame] = []
    async with pair[0].http.stream("POST", "/api/v1/chat", json={"message": QUESTION}) as answer:
        async for frame in live_frames(answer):
            frames.append(frame)
            if frame.name == "delta" and [one.name for one in frames].count("delta") == 1:
                path = f"/api/v1/chat/{frames[0].data['run_id']}/stop"
                assert (await pair[1].http.post(path)).status_code == 204
                await model_server.wait_for(lambda: model_server.open_streams == 0, 1)
    assert frames[-1].data["finish_reason"] == "stopped"
    kept = await stored(pair[1].http, frames[0].data)
    assert (kept["state"], kept["content"]) == ("stopped", turn_of(frames).text)
    check_problem(await pair[1].http.post(path), 404, "run_not_found")


async def test_a_stop_is_heard_though_the_word_of_it_was_lost(pair: Pair, model_server: ModelServer) -> None:
    model_server.reply(ENDLESS)
    seen = await leave_after(pair[0].http, "delta")
    async with aclosing(live_run(pair[0], seen[0].data["run_id"])) as frames:
        await anext(frames)
        await sql(pair[1], "UPDATE runs SET stop_requested = true WHERE id = :id", id=seen[0].data["run_id"])
        await model_server.wait_for(lambda: model_server.open_streams == 0, 5)
        assert [frame.name async for frame in frames][-1] == "done"


async def live_run(server: Server, run_id: str) -> AsyncGenerator[Frame, None]:
    """A turn under way, followed from its beginning."""
    async with server.http.stream("GET", f"/api/v1/chat/{run_id}/events") as answer:
        async for frame in live_frames(answer):
            yield frame


CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'rag-listener'"
)
LOCKS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'rag-listener' "
    "AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
)


async def test_a_server_that_lost_its_lock_and_lives_keeps_its_turns(
    pair: Pair, model_server: ModelServer
) -> None:
    model_server.reply(ENDLESS)

    async def both_are_held() -> bool:
        return bool(await sql(pair[0], LOCKS) == 2)

    await until(both_are_held)
    request = pair[0].http.stream("POST", "/api/v1/chat", json={"message": QUESTION})
    async with request as answer, aclosing(live_frames(answer)) as frames:
        start = (await anext(frames)).data
        await pair[1].services.chat.runs.end_those_of_the_dead()
        assert await sql(pair[0], CUT) >= 2
        await pair[1].services.chat.runs.end_those_of_the_dead()
        await until(both_are_held, 10)
        await pair[1].services.chat.runs.end_those_of_the_dead()
        assert (await stored(pair[1].http, start))["state"] == "streaming"
        await pair[1].http.post(f"/api/v1/chat/{start['run_id']}/stop")
        names = [frame.name async for frame in frames]
    assert names[-1] == "done"
    assert (await stored(pair[1].http, start))["state"] == "stopped"


async def test_twenty_at_once_under_one_key_are_one_turn(pair: Pair, model_server: ModelServer) -> None:
    model_server.reply(Reply("The moon is basalt [1]. Quite.", token_delay=0.02))
    headers, body = {"Idempotency-Key": uuid4().hex}, {"message": QUESTION}

    async def ask(number: int) -> httpx.Response:
        http = pair[number % 2].http
        return await http.post("/api/v1/chat", json={**body, "stream": number % 4 < 2}, headers=headers)

    answers = await asyncio.gather(*(ask(number) for number in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(model_server.requests) == 1
    turns = [turn_of(frames_of(answer.text)) for number, answer in enumerate(answers) if number % 4 < 2]
    assert all(turn.frames == turns[0].frames for turn in turns)
    wholes = [answer.json() for number, answer in enumerate(answers) if number % 4 >= 2]
    assert {whole["message_id"] for whole in wholes} == {turns[0].start["message_id"]}
    assert {whole["answer"] for whole in wholes} == {"The moon is basalt [1]. Quite."}

    assert turn_of(frames_of((await ask(0)).text)).frames == turns[0].frames
    await sql(pair[0], "DELETE FROM runs WHERE id = :id", id=turns[0].start["run_id"])
    late = turn_of(frames_of((await ask(0)).text))  # from the saved answer
    assert (late.start, late.text) == (turns[0].start, turns[0].text)
    assert (late.sources, late.citations) == (turns[0].sources, turns[0].citations)
    assert late.end.data["finish_reason"] == "stop"
    assert len(model_server.requests) == 1

    other = await pair[1].http.post("/api/v1/chat", json={"message": "And else?"}, headers=headers)
    check_problem(other, 422, "idempotency_key_reused")


async def test_a_key_of_another_caller_is_another_key(
    pair: Pair, model_server: ModelServer, guest: Guest
) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    for caller in (await guest(pair[0]), await guest(pair[0])):
        answer = await caller.post("/api/v1/chat", json={"message": QUESTION}, headers=headers)
        assert answer.status_code == 200
    assert len(model_server.requests) == 2
