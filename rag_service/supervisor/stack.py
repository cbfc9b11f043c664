"""The processes of one `rag serve`: what is started, with which environment, and in which order it ends."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from socket import socket
from typing import Any

from pydantic import SecretStr

from rag_service.endpoints import Endpoints
from rag_service.private_files import write_private
from rag_service.settings import Settings
from rag_service.supervisor.chroma import LocalChroma
from rag_service.supervisor.cluster import server_environment
from rag_service.supervisor.leftovers import replace_leftover
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.supervisor.process import Child, Say

STOP_SECONDS = 10.0
_ASK_SECONDS = 5.0
_CHROMA_SECONDS = 2.0
_QUIT_MARGIN_SECONDS = 1.5


def api_command(fd: int) -> list[str]:
    """How the API is started; it answers on the listening socket `fd`, which it inherits."""
    return [sys.executable, "-m", "rag_service.main", "--fd", str(fd)]


def worker_command() -> list[str]:
    """How the worker is started: by command, never by import. With REDIS_URL set it is a Celery worker."""
    return [sys.executable, "-m", "ingest", "worker"]


class Stack:
    """The API and one worker, and PostgreSQL and Chroma where no address of theirs is configured."""

    def __init__(self, settings: Settings, listener: socket, say: Say) -> None:
        """Choose the addresses of what will be started.

        Raises:
            ConfigurationError: something that has to be started is not installed.
        """
        state_dir = settings.state_dir
        self._postgres = None if settings.database_url else LocalPostgres(state_dir, say=say)
        self._chroma = None if settings.chroma_url else LocalChroma(state_dir, say=say)
        self.settings = _connected(settings, self._postgres, self._chroma)
        env = _environment(self.settings, server_environment() if self._postgres else os.environ)
        fd = listener.fileno()
        self.api = Child("api", api_command(fd), state_dir=state_dir, env=env, pass_fds=[fd], say=say)
        self.worker = Child("worker", worker_command(), state_dir=state_dir, env=env, say=say)

    async def start(self) -> None:
        """Start everything but the worker at once; the API waits for the database by itself.

        Returns when the local PostgreSQL and Chroma answer.

        Raises:
            ConfigurationError: one of them does not start.
        """
        write_private(self.settings.endpoints_file, _endpoints(self.settings).model_dump_json())
        servers = [server.start() for server in (self._postgres, self._chroma) if server is not None]
        await all_or_first_error(*servers, self.api.start())

    async def stop(self) -> None:
        """Stop everything within ten seconds, or as many as answers under way may take (`RAG_DRAIN_SECONDS`) and ten:
        first those that write, then where they write to."""
        await asyncio.gather(
            self.api.stop(signal.SIGTERM, self.settings.drain_seconds + _ASK_SECONDS),
            self.worker.stop(signal.SIGTERM, _ASK_SECONDS),
        )
        deadline = time.monotonic() + STOP_SECONDS - _ASK_SECONDS
        if self._chroma is not None:
            await self._chroma.stop(_CHROMA_SECONDS)
        if self._postgres is not None:
            await self._postgres.stop(max(0.5, deadline - time.monotonic() - _QUIT_MARGIN_SECONDS))
        self.settings.endpoints_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End everything at once. PostgreSQL and Chroma recover from it at their next start."""
        servers = (self._postgres, self._chroma)
        for child in (self.api, self.worker, *(server.child for server in servers if server is not None)):
            if child is not None:
                child.kill()


async def clear_leftovers(settings: Settings) -> None:
    """End an API and a worker of an earlier run, one of which may still hold our port.

    Raises:
        ConfigurationError: one cannot be ended.
    """
    for name in ("api", "worker"):
        await replace_leftover(settings.state_dir, name, signal.SIGTERM, _ASK_SECONDS)


async def all_or_first_error(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all at once; the first error cancels the others and is raised as it is, in no group."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _connected(settings: Settings, postgres: LocalPostgres | None, chroma: LocalChroma | None) -> Settings:
    update: dict[str, object] = {}
    if postgres is not None:
        update["database_url"] = SecretStr(postgres.url)
    if chroma is not None:
        update["chroma_url"] = chroma.url
    return settings.model_copy(update=update)


def _endpoints(settings: Settings) -> Endpoints:
    return Endpoints(
        pid=os.getpid(),
        api_url=settings.local_url,
        database_url=_database_url(settings),
        chroma_url=settings.chroma_url or "",
    )


def _environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    redis = {"REDIS_URL": settings.redis_url.get_secret_value()} if settings.redis_url else {}
    return {
        # With one arena for each of many short-lived threads, glibc keeps ten times as much of what they gave back.
        "MALLOC_ARENA_MAX": "2",
        **inherited,
        **redis,
        "DATABASE_URL": _database_url(settings),
        "CHROMA_URL": settings.chroma_url or "",
        "RAG_STATE_DIR": str(settings.state_dir),
        "RAG_SECRET_KEY": settings.secret(),
        "RAG_HOST": settings.host,
        "RAG_PORT": str(settings.port),
        # A proxy is for the world outside; Chroma's client would ask it for the loopback too.
        "NO_PROXY": ",".join(filter(None, [inherited.get("NO_PROXY"), "127.0.0.1", "localhost"])),
    }


def _database_url(settings: Settings) -> str:
    return settings.database_url.get_secret_value() if settings.database_url else ""
