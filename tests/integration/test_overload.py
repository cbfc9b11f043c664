"""Five times the load that a process can take: what it takes on it does, the rest it refuses."""

import asyncio
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from rag_service.admission.gate import BURST_SECONDS
from rag_service.settings import Settings
from rag_service.supervisor.sockets import free_loopback_port
from rag_service.testing.model_server import ModelServer
from tests.conftest import SECRET

QUESTION = {"message": "What is the moon made of?", "stream": False}
AGAIN_SECONDS = BURST_SECONDS
"""When who was refused comes again."""
SECONDS = 6.0
SETTLED = 3.0
"""A burst may wait; after so long it is overload."""


@pytest.fixture
async def api(
    settings: Settings, model_server: ModelServer, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """An api process as it is deployed, that searches for one question at a time."""
    port = free_loopback_port(30_000, 30_999)
    assert settings.database_url and settings.chroma_url
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "CHROMA_URL": settings.chroma_url,
        "RAG_SECRET_KEY": SECRET,
        "RAG_STATE_DIR": str(tmp_path / "state"),
        "RAG_PORT": str(port),
        "RAG_EMBEDDING_MODEL": "openai:fake-embedding",
        "OPENAI_BASE_URL": model_server.base_url,
        "OPENAI_API_KEY": "sk-local",
        "RAG_CHAT_MODEL": "extractive",
        "RAG_MAX_SEARCHES": "1",
    }
    command = [sys.executable, "-m", "rag_service.main"]
    with (tmp_path / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=tmp_path, stderr=log)  # noqa: ASYNC220
    limits = httpx.Limits(max_connections=None)
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits) as http,
            asyncio.timeout(60),
        ):
            while True:
                try:
                    if (await http.get("/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    assert process.poll() is None, (tmp_path / "api.log").read_text()
                await asyncio.sleep(0.05)
            key = (tmp_path / "state" / "admin.key").read_text().strip()
            http.headers["Authorization"] = f"Bearer {key}"
            yield http
    finally:
        process.kill()
        process.wait()


async def ask(http: httpx.AsyncClient) -> tuple[int, float]:
    """The status of a turn, and its seconds."""
    before = time.perf_counter()
    answer = await http.post("/api/v1/chat", json=QUESTION)
    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
    else:
        assert answer.json()["finish_reason"] == "refused"  # asked of no documents
    return answer.status_code, time.perf_counter() - before


async def test_under_five_times_the_load_some_are_refused_the_others_answered_and_it_lives(
    api: httpx.AsyncClient,
) -> None:
    alone = [await ask(api) for _ in range(20)]
    assert {status for status, _ in alone} == {200}
    usual = statistics.median(seconds for _, seconds in alone)
    # Five times as many as may wait; and where each comes once a second, five times as often as one after the other.
    clients = math.ceil(5 * BURST_SECONDS / usual)
    end = time.perf_counter() + SECONDS
    seen: list[int] = []

    async def client() -> None:
        while time.perf_counter() < end:
            has_settled = end - time.perf_counter() < SECONDS - SETTLED
            status, _ = await ask(api)
            if has_settled:
                seen.append(status)
            if status == 503:
                await asyncio.sleep(AGAIN_SECONDS)

    async def probe() -> None:
        while time.perf_counter() < end:
            assert (await api.get("/health/live")).status_code == 200
            await asyncio.sleep(0.05)

    await asyncio.gather(probe(), *(client() for _ in range(clients)))
    # How long those wait who are let in is for the bench to tell.
    assert seen.count(200) > 5 and seen.count(503) > 5, (usual, seen)
    assert (await ask(api))[0] == 200
