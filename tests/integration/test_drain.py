"""The api as a process of its own: killed outright, and asked to end, with answers under way."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import select

from evals.bench.stack import free_port
from rag_service.db.engine import Database
from rag_service.db.models import Message
from rag_service.knowledge.embeddings import load_embedder
from rag_service.settings import Settings
from rag_service.testing.model_server import ModelServer, Reply
from tests.api.support import Frame, check_problem, frames_of, live_frames, stored, turn_of, until
from tests.conftest import SECRET, _worker

SLOW = Reply("I say this and that, " * 2000, token_delay=0.05)
DRAIN_SECONDS = 6
STREAMS = 50


@asynccontextmanager
async def api(settings: Settings, model: ModelServer, port: int) -> AsyncIterator[psutil.Popen]:
    """The process, ready to answer. It embeds by the model's server, which loads nothing."""
    assert settings.database_url and settings.chroma_url
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "OPENAI_"))},
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "CHROMA_URL": settings.chroma_url,
        "OPENAI_BASE_URL": model.base_url,
        "RAG_SECRET_KEY": SECRET,
        "RAG_STATE_DIR": str(settings.state_dir),
        "RAG_PORT": str(port),
        "RAG_CHAT_MODEL": "openai:test-model",
        "RAG_EMBEDDING_MODEL": "openai:fake-embedding",
        "RAG_REFUSAL_SCORE": "-1",
        "RAG_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "RAG_LIMIT_REQUESTS_PER_MINUTE": "0",
        "RAG_LIMIT_CONCURRENT_RUNS": "0",
    }
    log = Path(settings.state_dir).parent / "api.log"
    with log.open("ab") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "rag_service.main"], env=env, stdout=output, stderr=output
        )
    try:

        async def is_ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                async with httpx.AsyncClient(trust_env=False) as http:
                    return (await http.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await until(is_ready, 60)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(5)


def client(url: str, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits, trust_env=False)


# The embedder's client keeps a connection to the model's server, which nothing closes.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_killed_or_asked_to_end_a_process_loses_no_answer(
    settings: Settings, model_server: ModelServer
) -> None:
    port = free_port()
    model_server.reply(SLOW)
    settings = settings.model_copy(
        update={"embedding_model": "openai:fake-embedding", "openai_base_url": model_server.base_url}
    )
    async with api(settings, model_server, port) as process:
        key = settings.admin_key_file.read_text().strip()
        async with client(f"http://127.0.0.1:{port}", key) as http:
            await read_a_document(settings, http)
            seen = await killed_in_mid_stream(process, http)
    async with api(settings, model_server, port) as process:
        async with client(f"http://127.0.0.1:{port}", key) as http:
            await what_was_killed_is_kept(http, seen)
        async with client(f"http://127.0.0.1:{port}", key) as http:
            starts = await asked_to_end_every_stream_ends(process, http, model_server)
    states = await states_of(settings, starts)
    assert states == {"interrupted": STREAMS}


async def read_a_document(settings: Settings, http: httpx.AsyncClient) -> None:
    files = {"files": ("a.md", b"# Talk\n\nI say this and that.")}
    answer = await http.post("/api/v1/knowledge-bases/default/documents", files=files)
    assert answer.status_code == 202, answer.text
    assert settings.database_url
    database = Database(settings.database_url.get_secret_value(), pool=5)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        worker = await _worker(settings, database, load_embedder(settings), stack)
        while await worker.run_one():
            pass


async def killed_in_mid_stream(process: psutil.Popen, http: httpx.AsyncClient) -> list[Frame]:
    """Read a few words, kill the process, and read what still comes."""
    seen: list[Frame] = []
    with suppress(httpx.TransportError):
        async with http.stream("POST", "/api/v1/chat", json={"message": "Say this."}) as answer:
            async for frame in live_frames(answer):
                seen.append(frame)
                if len(seen) == 20:
                    process.kill()
    assert len(seen) >= 20
    assert seen[-1].name == "delta"
    return seen


async def what_was_killed_is_kept(http: httpx.AsyncClient, seen: list[Frame]) -> None:
    start = seen[0].data

    async def is_interrupted() -> bool:
        return bool((await stored(http, start))["state"] == "interrupted")

    await until(is_interrupted, 3)  # at once: the process ran on this machine
    kept = await stored(http, start)
    said = "".join(frame.data["text"] for frame in seen if frame.name == "delta")
    assert kept["error_code"] == "interrupted"
    assert len(kept["content"]) > len(said) / 2
    assert said.startswith(kept["content"]) or kept["content"].startswith(said)
    assert kept["sources"]
    answer = await http.get(
        f"/api/v1/chat/{start['run_id']}/events", headers={"Last-Event-ID": str(seen[-1].id)}
    )
    *_, end = frames_of(answer.text)
    assert (end.name, end.data["code"], end.data["retryable"]) == ("error", "interrupted", True)
    assert end.id > seen[-1].id
    again = frames_of((await http.get(f"/api/v1/chat/{start['run_id']}/events")).text)
    assert [frame.name for frame in again][:2] == ["start", "sources"]
    assert [frame.name for frame in again].count("error") == 1


async def asked_to_end_every_stream_ends(
    process: psutil.Popen, http: httpx.AsyncClient, model_server: ModelServer
) -> list[dict[str, Any]]:
    """Many readers; their starts."""
    asking = [
        asyncio.create_task(http.post("/api/v1/chat", json={"message": "Say this."})) for _ in range(STREAMS)
    ]
    await model_server.wait_for(lambda: model_server.open_streams == STREAMS, 40)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)

    async def is_refused() -> bool:
        return (await http.get("/health/ready")).status_code == 503

    await until(is_refused, 2)
    refused = await http.post("/api/v1/chat", json={"message": "Say this."})
    check_problem(refused, 503, "shutting_down")
    assert int(refused.headers["retry-after"]) > 0
    assert (await http.get("/health/live")).status_code == 200
    turns = [turn_of(frames_of(answer.text)) for answer in await asyncio.gather(*asking)]
    assert await asyncio.to_thread(process.wait, DRAIN_SECONDS) == 0
    assert time.monotonic() - asked < DRAIN_SECONDS
    assert [(turn.end.name, turn.end.data["code"]) for turn in turns] == [("error", "interrupted")] * STREAMS
    return [{**turn.start, "text": turn.text} for turn in turns]


async def states_of(settings: Settings, starts: list[dict[str, Any]]) -> Counter[str]:
    """The states of the stored answers, whose text is what was streamed."""
    assert settings.database_url
    database = Database(settings.database_url.get_secret_value(), pool=2)
    async with database.transaction() as session:
        ids = [UUID(start["message_id"]) for start in starts]
        found = list(await session.scalars(select(Message).where(Message.id.in_(ids))))
    await database.close()
    told = {start["message_id"]: start["text"] for start in starts}
    assert all(message.content == told[str(message.id)] for message in found)
    return Counter(message.state for message in found)
