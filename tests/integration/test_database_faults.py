"""PostgreSQL killed, and stopped, with answers under way: each ends once, truly, and the api recovers by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from rag_service.api import watching
from rag_service.db.engine import COMMAND_SECONDS
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.testing.model_server import ModelServer, Reply
from tests.api.support import Turn, live_frames, stored, turn_of, until
from tests.conftest import Serve, Server

QUESTION = "What is the moon made of?"
SLOW = Reply("The moon is basalt [1]. " + "and so on, " * 20 + "quite.", token_delay=0.03)
RECOVERY_SECONDS = 30


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[LocalPostgres]:
    """A PostgreSQL of the test's own, which is started again when it dies."""
    server = LocalPostgres(tmp_path / "mortal")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def server(serve: Serve, mortal: LocalPostgres, model_server: ModelServer) -> AsyncIterator[Server]:
    async with serve(
        database_url=SecretStr(mortal.url),
        chat_model="openai:test-model",
        openai_base_url=model_server.base_url,
    ) as running:
        await running.upload(("moon.md", "The moon is made of basalt."))
        model_server.reply(SLOW)
        yield running


async def test_killed_or_stopped_in_mid_stream_the_turn_ends_once_and_truly(
    server: Server, mortal: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        watching, "LOOK_SECONDS", 0.02
    )  # a database that is away says nothing of a credential
    assert mortal.child is not None and mortal.child.pid is not None
    killed = asyncio.Event()
    turn = asyncio.create_task(asked(server, killed))
    await killed.wait()
    psutil.Process(mortal.child.pid).kill()
    await check_kept(server, await turn)
    await recovers(server)

    stopped = asyncio.Event()
    turn = asyncio.create_task(asked(server, stopped))
    await stopped.wait()
    processes = processes_of(mortal)
    for process in processes:
        process.suspend()
    try:
        assert (await server.http.get("/health/ready")).status_code == 503
        assert (await server.http.get("/health/live")).status_code == 200
        async with asyncio.timeout(COMMAND_SECONDS - 10):  # not by what gives up on a command in the end
            told = await turn
        assert (told.end.name, told.end.data["code"]) == ("error", "database_unavailable")
    finally:
        for process in processes:
            process.resume()
    await recovers(server)
    await check_kept(server, told)


async def asked(server: Server, begun: asyncio.Event) -> Turn:
    """A turn, read to its end; the event is set at its first word."""
    frames = []
    async with (
        server.http.stream("POST", "/api/v1/chat", json={"message": QUESTION}) as answer,
        aclosing(live_frames(answer)) as read,
    ):
        async for frame in read:
            frames.append(frame)
            if frame.name == "delta":
                begun.set()
    return turn_of(frames)


def processes_of(postgres: LocalPostgres) -> list[psutil.Process]:
    assert postgres.child is not None and postgres.child.pid is not None
    postmaster = psutil.Process(postgres.child.pid)
    return [postmaster, *postmaster.children(recursive=True)]


async def check_kept(server: Server, turn: Turn) -> None:
    """The saved answer, once the database can tell it, says what its end said."""
    await until_ready(server)

    async def has_ended() -> bool:
        return bool((await stored(server.http, turn.start))["state"] != "streaming")

    await until(has_ended, RECOVERY_SECONDS)
    kept = await stored(server.http, turn.start)
    is_whole = turn.end.name == "done"
    assert (kept["state"], kept["content"]) == ("complete" if is_whole else "failed", turn.text)
    assert kept["error_code"] == (None if is_whole else turn.end.data["code"])


async def recovers(server: Server) -> None:
    await until_ready(server)
    assert (await asked(server, asyncio.Event())).end.name == "done"


async def until_ready(server: Server) -> None:
    async def is_ready() -> bool:
        return (await server.http.get("/health/ready")).status_code == 200

    await until(is_ready, RECOVERY_SECONDS)
