"""The processes that `rag serve` starts by itself: the real PostgreSQL and Chroma, started, killed, started."""

import asyncio
import contextlib
import json
import os
import pwd
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
from rich.console import Console

from rag_service.errors import ConfigurationError
from rag_service.settings import Settings
from rag_service.supervisor import process, serve, stack
from rag_service.supervisor.chroma import LocalChroma
from rag_service.supervisor.leftovers import remember, replace_leftover
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.supervisor.privileges import Account
from rag_service.supervisor.process import Child
from rag_service.supervisor.sockets import free_loopback_port, listen
from rag_service.supervisor.state import hold_state_folder

ROOT = os.geteuid() == 0
SUPERVISOR = """
import asyncio, json, sys
from pathlib import Path
from rag_service.supervisor.chroma import LocalChroma
from rag_service.supervisor.postgres import LocalPostgres

async def main():
    postgres, chroma = LocalPostgres(Path(sys.argv[1])), LocalChroma(Path(sys.argv[1]))
    await asyncio.gather(postgres.start(), chroma.start())
    print(json.dumps({"pids": [postgres.child.pid, chroma.child.pid], "url": postgres.url}), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
API = """
import http.server, os, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["DATABASE_URL"].encode())
server = http.server.HTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.serve_forever()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state folder"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
async def postgres(state: Path) -> AsyncIterator[LocalPostgres]:
    server = LocalPostgres(state)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url.replace("+asyncpg", ""), ssl=False)


async def query(url: str, sql: str) -> object:
    connection = await connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def eventually(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def running(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def owner(path: Path) -> int:
    return path.stat().st_uid


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def running_child(child: Child | None) -> int:
    assert child is not None and child.pid is not None
    return child.pid


async def test_postgres_accepts_its_url_and_nothing_without_the_password(postgres: LocalPostgres) -> None:
    assert await query(postgres.url, "SHOW server_version_num") >= "180000"  # type: ignore[operator]
    assert await query(postgres.url, "SELECT lower('ÄÖ') || current_database()") == "äörag"
    assert await query(postgres.url, "SHOW fsync") == "on"
    password = postgres.url.split(":")[2].partition("@")[0]
    for wrong in ("wrong", ""):
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await connect(postgres.url.replace(password, wrong))


async def test_postgres_comes_back_after_kill_9_with_all_that_was_committed(postgres: LocalPostgres) -> None:
    await query(postgres.url, "CREATE TABLE kept (word text)")
    await query(postgres.url, "INSERT INTO kept VALUES ('here')")
    killed = running_child(postgres.child)
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: postgres.child is not None and postgres.child.pid not in (None, killed))

    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            assert await query(postgres.url, "SELECT word FROM kept") == "here"
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("user", ["ourselves", "nobody"])
async def test_a_killed_supervisor_leaves_nothing_behind_and_loses_nothing(state: Path, user: str) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(state)]
    if user == "nobody":
        if not ROOT:
            pytest.skip("only root can become another user")
        account = Account(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
        account.take(state)
        command = account.command(command, signal.SIGKILL)
    supervisor = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert supervisor.stdout is not None
    told = json.loads(await asyncio.wait_for(supervisor.stdout.readline(), 20))
    family = [pid.pid for server in told["pids"] for pid in psutil.Process(server).children(recursive=True)]
    await query(told["url"], "CREATE TABLE kept AS SELECT 'here' AS word")

    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: not any(running(pid) for pid in (*told["pids"], *family)))

    again = LocalPostgres(state)
    try:
        await again.start()
        assert await query(again.url, "SELECT word FROM kept") == "here"
    finally:
        await again.stop()


@pytest.mark.skipif(not ROOT, reason="PostgreSQL refuses root only where there is root")
async def test_postgres_of_root_runs_as_another_user_in_a_folder_that_stays_root_s(
    state: Path, postgres: LocalPostgres
) -> None:
    assert psutil.Process(running_child(postgres.child)).uids().effective != 0
    assert (owner(state), mode(state), mode(state / "postgres")) == (0, 0o700, 0o700)


async def test_an_interrupted_creation_is_done_again(state: Path) -> None:
    unfinished = state / "postgres.new" / "data"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = LocalPostgres(state)
    try:
        await server.start()
    finally:
        await server.stop()
    assert not unfinished.parent.exists()


async def test_data_of_another_version_and_a_lost_password_are_told(state: Path) -> None:
    server = LocalPostgres(state)
    (state / "postgres").mkdir()
    (state / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match="belongs to PostgreSQL 17"):
        await server.start()
    (state / "postgres.password").unlink()
    with pytest.raises(ConfigurationError, match=r"postgres\.password is missing"):
        LocalPostgres(state)


async def test_chroma_answers_keeps_its_data_and_stops_in_time(state: Path) -> None:
    collections = "/api/v2/tenants/default_tenant/databases/default_database/collections"
    for count in (1, 2):  # the second time on the same folder
        server = LocalChroma(state)
        try:
            await server.start()
            async with httpx.AsyncClient(
                base_url=server.url, headers={"Origin": "http://elsewhere"}
            ) as client:
                assert (await client.post(collections, json={"name": f"kept-{count}"})).is_success
                assert len((await client.get(collections)).json()) == count
                assert (await client.post("/api/v2/reset")).is_error
                assert "access-control-allow-origin" not in (await client.get("/api/v2/heartbeat")).headers
            pid = running_child(server.child)
            asked = time.monotonic()
        finally:
            await server.stop()
        assert time.monotonic() - asked < 3
        assert not running(pid)


def test_a_state_folder_serves_one_at_a_time(state: Path) -> None:
    with hold_state_folder(state / "new"):
        assert mode(state / "new") == 0o700
        with pytest.raises(ConfigurationError, match=rf"`rag serve` \(pid {os.getpid()}\).*RAG_STATE_DIR"):
            hold_state_folder(state / "new").__enter__()
    with hold_state_folder(state / "new"):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_serves_one_at_a_time(host: str) -> None:
    with contextlib.closing(listen(host, 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} on {host} is in use.*RAG_PORT"):
            listen(host, port)


async def test_a_child_that_ends_is_started_again_later_each_time(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_SECONDS", 0.05)
    said: list[str] = []
    child = Child("short", ["sh", "-c", "echo gone; exit 3"], state_dir=state, say=said.append)
    await child.start()
    await eventually(lambda: len(said) >= 3)
    await child.stop(signal.SIGTERM, 1)
    for line, pause in zip(said, ("0.05", "0.1", "0.2"), strict=False):
        assert line.startswith(f"short ended with code 3; starting it again in {pause} s.")
    assert child.quick_deaths >= 3
    assert child.log_tail() == "gone"
    assert not (state / "run" / "short.json").exists()


async def test_stop_kills_a_deaf_child_and_what_it_started(state: Path) -> None:
    script = 'trap "" TERM; sleep 1000 & echo $!; wait; sleep 1000'
    child = Child("deaf", ["sh", "-c", script], state_dir=state)
    await child.start()
    await eventually(lambda: child.log_tail() != "")
    pids = (running_child(child), int(child.log_tail()))
    await child.stop(signal.SIGTERM, 0.2)
    await eventually(lambda: not any(running(pid) for pid in pids))


async def test_a_leftover_is_ended_and_a_stranger_with_its_pid_is_not(state: Path) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "1000")
    record = state / "run" / "api.json"
    remember(state, "api", other.pid)
    record.write_text(json.dumps(json.loads(record.read_text()) | {"create_time": 1.0}))
    assert not await replace_leftover(state, "api", signal.SIGTERM, 1)
    assert running(other.pid)
    remember(state, "api", other.pid)
    assert await replace_leftover(state, "api", signal.SIGTERM, 1)
    assert await other.wait() == -signal.SIGTERM


@pytest.fixture
def settings(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(stack, "api_command", lambda fd: [sys.executable, "-c", API, str(fd)])
    monkeypatch.setattr(stack, "worker_command", lambda: ["sleep", "1000"])
    yield Settings(_env_file=None, state_dir=state, port=free_loopback_port(31_000, 31_999))


async def test_serve_starts_all_answers_and_stops_all(settings: Settings, state: Path) -> None:
    seen: dict[str, object] = {}

    async def ready(connected: Settings) -> None:
        endpoints = settings.local_endpoints()
        assert endpoints is not None
        seen["pids"] = [json.loads(file.read_text())["pid"] for file in (state / "run").glob("*.json")]
        os.kill(next(iter(json.loads((state / "run/api.json").read_text()).values())), signal.SIGKILL)
        async with httpx.AsyncClient(base_url=endpoints.api_url, timeout=5) as client:
            seen["url"] = (await client.get("/")).text  # no connection is refused while the API restarts
        assert connected.database_url is not None
        seen["expected"] = connected.database_url.get_secret_value()
        os.kill(os.getpid(), signal.SIGTERM)

    assert await serve(settings, ready=ready, console=Console(quiet=True)) == 0
    assert seen["url"] == seen["expected"]
    assert isinstance(seen["pids"], list) and len(seen["pids"]) == 4
    assert not any(running(pid) for pid in seen["pids"])
    assert settings.local_endpoints() is None


async def test_serve_gives_up_on_a_child_that_never_lives(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(stack, "api_command", lambda fd: ["sh", "-c", "echo no such module; exit 1"])
    monkeypatch.setattr("rag_service.supervisor.readiness._ANSWER_SECONDS", 0.2)
    with pytest.raises(ConfigurationError, match=r"(?s)The api ends .*api\.log:\nno such module"):
        await serve(settings, console=Console(quiet=True))
