"""A worker killed at any point of a job: nothing is lost, doubled or half there."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest import worker
from rag_service.db.engine import Database
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings
from rag_service.supervisor.sockets import free_loopback_port
from tests.integration.dying_worker import POINTS
from tests.integration.ingestion import WAIT_SECONDS, HeldEmbedder, Stand, handbook, running, stand_on

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


async def run_until_it_dies(point: str, settings: Settings) -> None:
    assert settings.database_url and settings.chroma_url
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.dying_worker", point),
        settings.database_url.get_secret_value(),
        settings.chroma_url,
        str(settings.blob_dir),
        cwd=ROOT,
    )
    try:
        assert await asyncio.wait_for(process.wait(), WAIT_SECONDS) == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_killed_at_any_point_loses_and_doubles_nothing(
    stand: Stand, settings: Settings, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_EVERY_SECONDS", 0.1)
    await stand.upload("a.md", handbook(4))
    await stand.work()
    old = [item.chunk.text for item in await stand.readable()]
    job_id = await stand.job_of("a.md", handbook(4, changed=2))
    await run_until_it_dies(point, settings)

    new = [text.replace("Old", "New") if "number 2" in text else text for text in old]
    in_between = [item.chunk.text for item in await stand.readable()]
    assert in_between == (new if point == "after the commit that activates" else old)

    async with running(stand.worker(lease=1).run()):
        job = await stand.until(job_id, lambda job: job.state == "succeeded")
        await stand.until_it_says(0, "SELECT count(*) FROM stale_vectors")
    assert job.attempts == (1 if point == "after the commit that activates" else 2)
    readable = await stand.readable()
    assert [item.chunk.text for item in readable] == new
    assert await stand.vector_ids() == {item.chunk.id for item in readable}
    assert await stand.sql("SELECT count(*) FROM embeddings") == 5
    assert await stand.sql("SELECT count(*) FROM document_versions WHERE state = 'ready'") == 2


async def test_a_document_that_kills_its_workers_is_quarantined_and_the_queue_goes_on(
    stand: Stand, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_EVERY_SECONDS", 0.1)
    bad = await stand.job_of("bad.md", handbook(3))
    for _ in range(3):
        await run_until_it_dies("embedding", settings)
    good = await stand.job_of("good.md", "good")
    async with running(stand.worker(lease=1, attempts=3).run()):
        job = await stand.until(bad, lambda job: job.state == "quarantined")
        await stand.until(good, lambda job: job.state == "succeeded")
    assert job.error_code == "too_many_attempts"
    assert [item.filename for item in await stand.readable()] == ["good.md"]


async def test_a_document_deleted_while_its_worker_was_stopped_leaves_no_vector_behind(stand: Stand) -> None:
    """The worker stores its vectors after they were erased, as one that was stopped (SIGSTOP) meanwhile does."""
    held = HeldEmbedder()
    await stand.job_of("a.md", handbook(3))
    stopped = asyncio.create_task(stand.worker(embedder=held).run_one())
    await held.reached.wait()
    await stand.sql("UPDATE jobs SET state = 'cancelled', lease_until = NULL, finished_at = now()")
    await stand.sql("UPDATE documents SET deleted_at = now()")
    await stand.work(stand.worker())
    assert await stand.sql("SELECT count(*) FROM documents") == 0
    held.let_go()
    await stopped
    await stand.work()
    assert await stand.vector_ids() == set()


async def test_a_deleted_document_goes_from_the_index_when_the_index_is_back(stand: Stand) -> None:
    await stand.upload("a.md", handbook(3))
    await stand.upload("b.md", "stays")
    await stand.work()
    await stand.sql("UPDATE documents SET deleted_at = now() WHERE name = 'a.md'")
    assert [item.filename for item in await stand.readable()] == ["b.md"]
    nowhere = ChromaIndex(f"http://127.0.0.1:{free_loopback_port(32_000, 32_999)}")
    async with running(stand.worker(vectors=nowhere).run()):
        await stand.until_it_says(0, "SELECT count(*) FROM documents WHERE name = 'a.md'")
        await stand.until_it_says(1, "SELECT count(*) FROM chunks")
    assert len(await stand.vector_ids()) == 4
    await stand.work()
    assert len(await stand.vector_ids()) == 1
