"""What one caller may use, and what the process takes on: refused with 429 and 503, before a body is read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import httpx
import pytest

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.support import Frame, check_problem, live_frames, turn_of, until
from tests.conftest import Serve, Server

QUESTION = {"message": "What is the moon made of?"}
HELD = Reply("The moon is basalt.", fault=Fault.SILENT_BETWEEN, after_tokens=2)
MOON = ("moon.md", "The moon is made of basalt.")


async def key_of(server: Server, stack: AsyncExitStack, **headers: str) -> httpx.AsyncClient:
    """A client with a chat key of its own."""
    _, key = await server.services.keys.create("a caller", "chat")
    headers = {"Authorization": f"Bearer {key}", **headers}
    return await stack.enter_async_context(
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20)
    )


def check_limited(answer: httpx.Response, code: str, *, status: int = 429) -> None:
    check_problem(answer, status, code)
    assert 1 <= int(answer.headers["retry-after"]) <= 86_400


@asynccontextmanager
async def asking(http: httpx.AsyncClient) -> AsyncGenerator[AsyncGenerator[Frame, None], None]:
    """A turn under way, read up to its first word."""
    async with http.stream("POST", "/api/v1/chat", json=QUESTION) as answer:
        assert answer.status_code == 200
        frames = live_frames(answer)
        async for frame in frames:
            if frame.name == "delta":
                break
        yield frames


async def test_a_key_is_counted_by_itself_wherever_it_comes_from(serve: Serve) -> None:
    async with (
        serve(limit_requests_per_minute=5, limit_failures_per_minute=4) as server,
        AsyncExitStack() as stack,
    ):
        busy, other = await key_of(server, stack), await key_of(server, stack)
        answers = [await busy.get("/api/v1/conversations") for _ in range(5)]
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == [
            f"r={left}" for left in (4, 3, 2, 1, 0)
        ]
        assert answers[0].headers["ratelimit-policy"] == '"requests";q=5;w=60'

        for number in range(3):
            forged = {"X-Forwarded-For": f"198.51.100.{number}", "Content-Type": "application/json"}
            # A body that would be too large, if anybody read it.
            answer = await busy.post("/api/v1/chat", content=b"x" * 1_000_000, headers=forged)
            check_limited(answer, "rate_limited")
        assert (await other.get("/api/v1/conversations")).status_code == 200

        wrong = {"Authorization": f"Bearer rag_chat_0123456789ab_{'x' * 43}"}
        codes = [
            (
                await other.get(
                    "/api/v1/conversations", headers={**wrong, "X-Forwarded-For": f"198.51.100.{n}"}
                )
            ).json()["code"]
            for n in range(6)
        ]
        assert codes == ["unauthenticated"] * 4 + ["rate_limited"] * 2
        assert (await other.get("/api/v1/conversations")).status_code == 200  # no one locks a key out
        assert (await other.get("/health/live")).status_code == 200


async def test_an_address_is_the_one_that_a_trusted_proxy_gave(serve: Serve) -> None:
    async with serve(
        limit_failures_per_minute=2, trusted_proxies=[ip_network("127.0.0.0/8")], home_chat=True
    ) as server:

        async def code(forwarded: str) -> str:
            headers = {"Authorization": "Bearer no.key.atall", "X-Forwarded-For": forwarded}
            answer = await server.http.get("/api/v1/conversations", headers=headers)
            return str(answer.json()["code"])

        # What the caller wrote stands in front of what the proxy saw, and counts for nothing.
        guesses = [await code(f"203.0.113.{n}, 198.51.100.7") for n in range(3)]
        assert guesses == ["unauthenticated", "unauthenticated", "rate_limited"]
        assert await code("198.51.100.8") == "unauthenticated"
        # Of IPv6 a network is one place: whoever has one address there has all of them.
        assert [await code(f"2001:db8:1:2::{n}") for n in range(3)][-1] == "rate_limited"
        assert await code("2001:db8:1:3::1") == "unauthenticated"
        # One that lets through whatever it is given keeps no admin from what is written down.
        made = await server.http.post(
            "/api/v1/keys", json={"name": "a key"}, headers={"X-Forwarded-For": "x" * 300}
        )
        assert made.status_code == 201, made.text


async def test_a_visitor_who_is_always_new_is_stopped_by_the_address(
    serve: Serve, model_server: ModelServer
) -> None:
    model_server.reply(HELD)
    async with (
        serve(
            chat_model="openai:test-model",
            openai_base_url=model_server.base_url,
            home_chat=True,
            limit_visitor_requests_per_minute=3,
            limit_visitor_concurrent_runs=1,
        ) as server,
        AsyncExitStack() as stack,
    ):
        await server.upload(MOON)
        page = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=20))
        turns, refused = 0, []
        for _ in range(12):
            made = await page.post("/api/v1/embeds/home/token", json={})
            visitor = {"Authorization": f"Bearer {made.json()['token']}"}
            request = page.build_request("POST", "/api/v1/chat", json=QUESTION, headers=visitor)
            answer = await page.send(request, stream=True)
            stack.push_async_callback(answer.aclose)
            if answer.status_code == 200:
                turns += 1
            else:
                await answer.aread()
                refused.append(answer.json()["code"])
        assert (turns, refused) == (10, ["too_many_runs"] * 2)
        left = [(await page.post("/api/v1/embeds/home/token", json={})).status_code for _ in range(12)]
        # Where a minute of the clock begins meanwhile, the one before it counts for a little less.
        assert left[:6] == [200] * 6 and left[-2:] == [429] * 2, left


async def test_a_visitor_is_told_of_the_limit_that_is_nearest(serve: Serve) -> None:
    async with (
        serve(home_chat=True, limit_visitor_requests_per_minute=40) as server,
        httpx.AsyncClient(base_url=server.url, timeout=20) as page,
    ):
        tokens = [(await page.post("/api/v1/embeds/home/token", json={})).json()["token"] for _ in range(2)]
        for token, left in zip([tokens[0]] * 3 + [tokens[1]], (39, 38, 37, 39), strict=True):
            told = await page.get("/api/v1/conversations", headers={"Authorization": f"Bearer {token}"})
            assert told.headers["ratelimit"].split(";")[1] == f"r={left}"
            assert told.headers["ratelimit-policy"] == '"requests";q=40;w=60'


async def test_a_slot_is_free_again_however_its_turn_ends(serve: Serve, model_server: ModelServer) -> None:
    options: dict[str, Any] = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    async with (
        serve(**options, limit_concurrent_runs=2, run_grace_seconds=0) as server,
        AsyncExitStack() as stack,
    ):
        await server.upload(MOON)
        model_server.reply(HELD)
        caller, other = await key_of(server, stack), await key_of(server, stack)

        async def fits() -> bool:
            async with caller.stream("POST", "/api/v1/chat", json=QUESTION) as answer:
                await anext(answer.aiter_raw())
                return answer.status_code == 200

        async with asking(caller), asking(caller):
            check_limited(await caller.post("/api/v1/chat", json=QUESTION), "too_many_runs")
            wanted = {"model": "default", "messages": [{"role": "user", "content": QUESTION["message"]}]}
            by_openai = await caller.post("/v1/chat/completions", json=wanted)
            assert (by_openai.status_code, by_openai.json()["error"]["code"]) == (429, "too_many_runs")
            assert by_openai.headers["retry-after"] == "5"
            assert (await caller.get("/api/v1/conversations")).status_code == 200
            async with asking(other):
                pass
        await until(fits)  # they left

        async def is_free() -> bool:
            return (await caller.post("/api/v1/chat", json={"message": ""})).status_code == 422

        await until(is_free)  # so did the one that found out, which was given up a moment later
        for _ in range(3):  # refused for its body: it took nothing
            assert (await caller.post("/api/v1/chat", json={"message": ""})).status_code == 422
            missing = {**QUESTION, "knowledge_base": "missing"}
            assert (await caller.post("/api/v1/chat", json=missing)).status_code == 404
        model_server.reply(Reply(HELD.text, fault=Fault.CUT, after_tokens=2))
        for _ in range(2):  # broke off; three in a row, and the model is left alone
            ended = await caller.post("/api/v1/chat", json=QUESTION)
            assert turn_of([frame async for frame in live_frames(ended)]).end.name == "error"
        model_server.reply(Reply("Basalt [1]."))
        for _ in range(3):
            answer = await caller.post("/api/v1/chat", json={**QUESTION, "stream": False})
            assert answer.status_code == 200
        model_server.reply(HELD)
        async with asking(caller), asking(caller):
            check_limited(await caller.post("/api/v1/chat", json=QUESTION), "too_many_runs")


@asynccontextmanager
async def reading(
    http: httpx.AsyncClient, method: str, path: str, **asked: Any
) -> AsyncGenerator[AsyncGenerator[Frame, None] | None, None]:
    """A stream, read up to its first event; None where it was refused."""
    async with http.stream(method, path, **asked) as answer, aclosing(live_frames(answer)) as frames:
        if answer.status_code == 200:
            await anext(frames)
        yield frames if answer.status_code == 200 else None


async def test_a_caller_reads_along_with_so_many_turns_and_has_their_places_back_however_a_stream_ends(
    serve: Serve, model_server: ModelServer
) -> None:
    options: dict[str, Any] = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    model_server.reply(HELD)
    async with serve(**options, limit_followed_streams=2) as server, AsyncExitStack() as stack:
        await server.upload(MOON)
        caller, other = await key_of(server, stack), await key_of(server, stack)
        asked: dict[str, Any] = {"json": QUESTION, "headers": {"Idempotency-Key": "once"}}
        begun = await stack.enter_async_context(caller.stream("POST", "/api/v1/chat", **asked))
        frames = await stack.enter_async_context(aclosing(live_frames(begun)))
        run_id = (await anext(frames)).data["run_id"]
        path = f"/api/v1/chat/{run_id}/events"

        for _ in range(3):  # refused for something else: it took nothing
            check_problem(await caller.get(f"/api/v1/chat/{uuid4()}/events"), 404, "run_not_found")
            refused = await caller.get(path, headers={"Last-Event-ID": "99999"})
            check_problem(refused, 422, "invalid_input")
        async with reading(caller, "GET", path), reading(caller, "POST", "/api/v1/chat", **asked):
            for _ in range(2):
                check_limited(await caller.get(path), "too_many_streams")
                check_limited(await caller.post("/api/v1/chat", **asked), "too_many_streams")
                whole = {**asked, "json": {**QUESTION, "stream": False}}
                check_limited(await caller.post("/api/v1/chat", **whole), "too_many_streams")
            check_problem(await other.get(path), 404, "run_not_found")  # not a word of limits

        async def fits() -> bool:
            async with reading(caller, "GET", path) as one, reading(caller, "GET", path) as two:
                return one is not None and two is not None

        await until(fits)  # they left
        await until(fits)
        async with reading(caller, "GET", path) as one, reading(caller, "GET", path) as two:
            assert one is not None and two is not None
            check_limited(await caller.get(path), "too_many_streams")
            assert (await caller.post(f"/api/v1/chat/{run_id}/stop")).status_code == 204
            for each in (frames, one, two):
                assert [frame.name async for frame in each][-1] == "done"
        for _ in range(3):  # the turn has ended, and is told again
            assert (await caller.get(path)).status_code == 200


@pytest.mark.parametrize("reply", [Reply("Basalt [1]."), HELD], ids=["complete", "left"])
async def test_who_has_used_up_the_days_tokens_waits_whether_the_answer_was_read_or_not(
    serve: Serve, model_server: ModelServer, reply: Reply
) -> None:
    options: dict[str, Any] = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    async with (
        serve(**options, limit_tokens_per_day=8, run_grace_seconds=0) as server,
        AsyncExitStack() as stack,
    ):
        await server.upload(MOON)
        model_server.reply(reply)
        caller, other = await key_of(server, stack), await key_of(server, stack)
        async with asking(caller) as frames:
            if reply is not HELD:
                assert [frame.name async for frame in frames][-1] == "done"

        async def is_spent() -> bool:
            answer = await caller.post("/api/v1/chat", json={"message": ""})
            if answer.status_code == 422:
                return False
            check_limited(answer, "token_budget_spent")
            return True

        await until(is_spent)
        async with asking(other):
            pass


async def test_above_what_a_process_takes_on_it_refuses_at_once_and_says_that_it_lives(
    serve: Serve, model_server: ModelServer
) -> None:
    options: dict[str, Any] = {"chat_model": "openai:test-model", "openai_base_url": model_server.base_url}
    async with serve(**options, max_runs=3, max_requests=2) as server, AsyncExitStack() as stack:
        await server.upload(MOON)
        model_server.reply(HELD)
        for _ in range(3):
            await stack.enter_async_context(asking(server.http))
        check_limited(await server.http.post("/api/v1/chat", json=QUESTION), "overloaded", status=503)
        # Turns under way are no requests: there is room for two more, which here never end.
        held, sent = asyncio.Event(), asyncio.Barrier(3)

        async def slow() -> AsyncGenerator[bytes, None]:
            yield b"{"
            await sent.wait()
            await held.wait()
            yield b"}"

        headers = {"Content-Type": "application/json"}
        waiting = [
            asyncio.create_task(server.http.post("/api/v1/search", content=slow(), headers=headers))
            for _ in range(2)
        ]
        await sent.wait()
        assert (await server.http.get("/health/live")).status_code == 200  # they have come in before this
        check_limited(await server.http.get("/api/v1/conversations"), "overloaded", status=503)
        assert (await server.http.get("/health/ready")).status_code == 200
        held.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [422, 422]
        assert (await server.http.get("/api/v1/conversations")).status_code == 200
