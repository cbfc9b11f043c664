"""API keys over HTTP: made, limited, rotated, revoked; and what that means to requests and to streams under way."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text

from rag_service.api import watching
from rag_service.db.models import StoredRun
from rag_service.db.repositories import runs
from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.conftest import NewBase, client_of
from tests.api.support import check_problem, live_frames, stored, until, whole
from tests.conftest import Server

LONG = Reply("The moon is basalt [1]. " + "and so on " * 500, token_delay=0.02)


async def make(server: Server, **body: Any) -> dict[str, Any]:
    answer = await server.http.post("/api/v1/keys", json={"name": "a key", **body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


async def slugs(http: httpx.AsyncClient) -> list[str]:
    return [base["slug"] for base in (await http.get("/api/v1/knowledge-bases")).json()["items"]]


async def test_a_key_is_shown_once_and_listed_without_what_proves_it(quoting: Server) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    made = await make(quoting, role="evaluator", expires_at=ends.isoformat())
    assert made["key"].startswith(made["prefix"] + "_") and made["prefix"].startswith("rag_evaluator_")
    async with client_of(quoting.url, made["key"]) as caller:
        assert (await caller.post("/api/v1/search", json={"query": "moon"})).json()["hits"]
    listed = await quoting.http.get("/api/v1/keys", params={"limit": 1})
    (found,) = listed.json()["items"]
    assert found["id"] == made["id"] and found["last_used_at"]
    assert datetime.fromisoformat(found["expires_at"]) == ends
    assert made["key"][len(made["prefix"]) :] not in listed.text and "mac" not in listed.text
    older = await quoting.http.get("/api/v1/keys", params={"cursor": listed.json()["next_cursor"]})
    assert made["id"] not in older.text and older.json()["items"]


async def _run_of(server: Server, turn: dict[str, Any]) -> UUID:
    async with server.services.database.transaction() as session:
        mine = StoredRun.message_id == UUID(turn["message_id"])
        return (await session.scalars(select(StoredRun.id).where(mine))).one()


async def test_a_key_sees_the_knowledge_bases_of_its_scope_and_what_hangs_on_them_alone(
    quoting: Server, new_base: NewBase
) -> None:
    mine, other = await new_base(quoting), await new_base(quoting)
    for slug in (mine, other):
        await quoting.upload(("moon.md", "# Moon\n\nThe moon is made of basalt."), slug=slug)
    made = await make(quoting, knowledge_bases=[mine])
    assert made["knowledge_bases"] == [mine]
    async with client_of(quoting.url, made["key"]) as caller:
        assert await slugs(caller) == [mine]
        turn = await whole(caller, "What is the moon made of?")  # its only one, though it is not `default`
        conversations = (await caller.get("/api/v1/conversations")).json()["items"]
        assert [one["knowledge_base"] for one in conversations] == [mine]
        refused = {"message": "What is the moon made of?", "knowledge_base": other}
        check_problem(await caller.post("/api/v1/chat", json=refused), 404, "knowledge_base_not_found")

        path = f"/api/v1/keys/{made['id']}"
        assert (await quoting.http.patch(path, json={"knowledge_bases": [other]})).status_code == 200
        assert await slugs(caller) == [other]
        assert (await caller.get("/api/v1/conversations")).json()["items"] == []
        gone = f"/api/v1/conversations/{turn['conversation_id']}"
        check_problem(await caller.get(f"{gone}/messages"), 404, "conversation_not_found")
        check_problem(await caller.delete(gone), 404, "conversation_not_found")
        follow_up = {"message": "And then?", "conversation_id": turn["conversation_id"]}
        check_problem(await caller.post("/api/v1/chat", json=follow_up), 404, "conversation_not_found")
        for method, name in (("GET", "events"), ("POST", "stop")):
            run = await caller.request(method, f"/api/v1/chat/{await _run_of(quoting, turn)}/{name}")
            check_problem(run, 404, "run_not_found")

        # One that is deleted, and another of the same name: the key is for neither.
        await quoting.http.delete(f"/api/v1/knowledge-bases/{other}")
        await quoting.http.post("/api/v1/knowledge-bases", json={"slug": other, "name": "again"})
        assert await slugs(caller) == []
    changed = await quoting.http.patch(path, json={"name": "another name"})
    assert changed.json()["knowledge_bases"] not in ([], [other])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role": "admin", "knowledge_bases": ["default"]}, 422),
        ({"knowledge_bases": ["no-such-base"]}, 404),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"expires_at": "2999-01-01T00:00:00"}, 422),
        ({"role": "owner"}, 422),
        ({"role": "visitor"}, 422),
        ({"prefix": "rag_admin_0123456789ab"}, 422),
        ({"owner_id": "x"}, 422),
    ],
)
async def test_a_key_that_cannot_be_is_refused(quoting: Server, body: dict[str, Any], status: int) -> None:
    answer = await quoting.http.post("/api/v1/keys", json={"name": "x", **body})
    assert answer.status_code == status, answer.text


async def test_a_rotated_key_stays_the_same_caller_and_its_old_text_works_for_the_overlap(
    quoting: Server,
) -> None:
    made = await make(quoting)
    path = f"/api/v1/keys/{made['id']}/rotate"
    second = (await quoting.http.post(path, json={})).json()
    assert second["prefix"] == made["prefix"] and second["key"] != made["key"]
    left = datetime.fromisoformat(second["old_secret_until"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(client_of(quoting.url, made["key"]))
        new = await stack.enter_async_context(client_of(quoting.url, second["key"]))
        turn = await whole(old, "What is the moon made of?")
        assert await stored(new, turn)
        third = (await quoting.http.post(path, json={"overlap_hours": 0})).json()
        for ended in (old, new):
            check_problem(await ended.get("/api/v1/conversations"), 401, "unauthenticated")
        newest = await stack.enter_async_context(client_of(quoting.url, third["key"]))
        assert await stored(newest, turn)
    check_problem(await quoting.http.post(path, json={"overlap_hours": -1}), 422, "invalid_input")
    nobody = f"/api/v1/keys/{uuid4()}/rotate"
    check_problem(await quoting.http.post(nobody, json={}), 404, "key_not_found")


async def test_the_last_admin_key_cannot_be_lost(server: Server) -> None:
    (first,) = (await server.http.get("/api/v1/keys")).json()["items"]
    path = f"/api/v1/keys/{first['id']}"
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await make(server, role="admin", expires_at=soon)  # one that ends by itself leaves nobody behind
    for refused in (await server.http.delete(path), await server.http.patch(path, json={"expires_at": soon})):
        body = check_problem(refused, 409, "last_admin_key")
        assert "rag keys create" in body["detail"]
    second = await make(server, role="admin")
    async with client_of(server.url, second["key"]) as other:
        answers = await asyncio.gather(server.http.delete(f"/api/v1/keys/{second['id']}"), other.delete(path))
    # Each revokes the other's: one is too late, as an admin's key or as the last one.
    assert sorted(answer.status_code for answer in answers)[0] == 204
    assert sorted(answer.status_code for answer in answers)[1] in (401, 409)


async def test_admins_who_revoke_two_keys_at_once_do_not_wait_for_each_other_for_ever(server: Server) -> None:
    made = [await make(server, role="admin") for _ in range(2)]
    database = server.services.database

    async def both_wait() -> bool:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with database.transaction() as session:
            return bool(await session.scalar(text(waiting)) == 2)

    async with (
        asyncio.TaskGroup() as tasks,
        database.transaction() as session,
    ):  # both are at it at the same moment, held up by the oldest key
        await session.execute(text("SELECT id FROM api_keys ORDER BY id LIMIT 1 FOR UPDATE"))
        revoking = [tasks.create_task(server.http.delete(f"/api/v1/keys/{one['id']}")) for one in made]
        await until(both_wait)
    assert [(await answer).status_code for answer in revoking] == [204, 204]


@pytest.mark.parametrize("by", ["key", "embed", "expiry"])
async def test_a_stream_ends_with_the_credential_it_was_begun_with(
    generating: Server, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    model_server.reply(LONG)
    admin = generating.http
    if by == "embed":
        origin = "https://stream.example"
        made = (await admin.post("/api/v1/embeds", json={"name": "x", "origins": [origin]})).json()
        path = f"/api/v1/embeds/{made['id']}"
        token = await admin.post(f"{path}/token", json={}, headers={"Origin": origin})
        credential = token.json()["token"]
    else:
        made = await make(generating)
        path, credential = f"/api/v1/keys/{made['id']}", made["key"]
    names = []
    async with (
        client_of(generating.url, credential) as caller,
        caller.stream("POST", "/api/v1/chat", json={"message": "What is the moon made of?"}) as answer,
        aclosing(live_frames(answer)) as frames,
        asyncio.timeout(10),
    ):
        async for frame in frames:
            names.append(frame.name)
            if frame.name == "delta" and names.count("delta") == 1:
                if by == "expiry":
                    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
                    assert (await admin.patch(path, json={"expires_at": soon})).status_code == 200
                else:
                    assert (await admin.delete(path)).status_code == 204
    assert frame.data["code"] == "credential_revoked" and frame.id == len(names) - 1
    assert names[-1] == "error" and "done" not in names

    async def is_over() -> bool:
        return model_server.open_streams == 0

    await until(is_over)


async def test_a_silent_turn_is_stopped_with_its_key_and_its_stream_says_why(
    generating: Server, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(runs, "REVOKED_FOR", timedelta(seconds=0.3))
    model_server.reply(Reply("The moon is basalt.", fault=Fault.SILENT_BETWEEN, after_tokens=2))
    made = await make(generating)
    async with (
        client_of(generating.url, made["key"]) as caller,
        caller.stream("POST", "/api/v1/chat", json={"message": "What is the moon made of?"}) as answer,
        aclosing(live_frames(answer)) as frames,
        asyncio.timeout(5),  # the next ping would be there after 15
    ):
        names = []
        async for frame in frames:
            names.append(frame.name)
            if names.count("delta") == 1 and frame.name == "delta":
                assert (await generating.http.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
    assert (frame.name, frame.data["code"]) == ("error", "credential_revoked")

    async def is_over() -> bool:
        return model_server.open_streams == 0

    await until(is_over)


async def test_a_stream_of_openais_protocol_ends_with_its_key_in_that_protocols_words(
    generating: Server, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    model_server.reply(LONG)
    made = await make(generating)
    question = {"role": "user", "content": "What is the moon made of?"}
    body = {"model": "default", "stream": True, "messages": [question]}
    told: list[str] = []
    async with (
        client_of(generating.url, made["key"]) as caller,
        caller.stream("POST", "/v1/chat/completions", json=body) as answer,
        asyncio.timeout(10),
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and not told:
                assert (await generating.http.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
            told += [line] if line else []
    assert json.loads(told[-1].removeprefix("data: "))["error"]["code"] == "credential_revoked"
    assert "data: [DONE]" not in told

    async def is_over() -> bool:
        return model_server.open_streams == 0

    await until(is_over)


ASKED = "What is the moon made of?"


@pytest.mark.parametrize(
    ("path", "body", "code_of"),
    [
        ("/api/v1/chat", {"message": ASKED, "stream": False}, lambda said: said["code"]),
        (
            "/v1/chat/completions",
            {"model": "default", "messages": [{"role": "user", "content": ASKED}]},
            lambda said: said["error"]["code"],
        ),
    ],
    ids=["ours", "openai"],
)
async def test_who_waits_for_a_whole_answer_is_told_that_the_key_was_revoked_and_the_turn_is_stopped(
    generating: Server,
    model_server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: dict[str, Any],
    code_of: Callable[[Any], str],
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    model_server.reply(Reply("The moon is basalt.", fault=Fault.SILENT_BETWEEN, after_tokens=2))
    made = await make(generating)
    async with client_of(generating.url, made["key"]) as caller, asyncio.timeout(10):
        asking = asyncio.create_task(caller.post(path, json=body))
        await model_server.wait_for(lambda: model_server.open_streams == 1, 5)
        assert (await generating.http.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
        answer = await asking
    assert (answer.status_code, code_of(answer.json())) == (401, "credential_revoked")
    assert answer.headers["www-authenticate"] == "Bearer"
    await model_server.wait_for(lambda: model_server.open_streams == 0, 5)
