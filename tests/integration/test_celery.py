"""Celery on a real Redis: jobs are shared out, and none depends on what Redis remembers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import pytest

from ingest.pipeline import BATCH
from rag_service.db.engine import Database
from rag_service.db.repositories.documents import Documents
from rag_service.settings import Settings
from rag_service.testing.model_server import ModelServer
from tests.integration.ingestion import Stand, handbook, stand_on
from tests.integration.redis import LocalRedis
from tests.integration.test_worker_process import worker_process

CELERY = ("-m", "celery", "-A", "ingest.celery_app", "worker")
OPEN = "SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded')"


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[LocalRedis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = LocalRedis(folder)
    await server.start()
    yield server
    server.client.close()
    await server.kill()


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        await made.use_model("openai:fake-embedding@384")
        yield made


@pytest.fixture
def environment(model_server: ModelServer, redis: LocalRedis) -> dict[str, str]:
    """Embeddings come from a server, so that a worker starts quickly; jobs come by Redis."""
    return {
        "RAG_EMBEDDING_MODEL": "openai:fake-embedding",
        "OPENAI_BASE_URL": model_server.base_url,
        "OPENAI_API_KEY": "sk-local",
        "REDIS_URL": redis.url,
    }


async def hand_in(stand: Stand, name: str, count: int) -> None:
    for number in range(count):
        await stand.job_of(f"{name}-{number}.md", f"{name} {number}. {handbook(2)}")


async def test_two_workers_do_each_job_once_through_the_loss_of_all_messages_and_of_redis(
    stand: Stand, settings: Settings, tmp_path: Path, redis: LocalRedis, environment: dict[str, str]
) -> None:
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    async with AsyncExitStack() as stack:
        commands = (CELERY, ("-m", "ingest", "worker"))
        await asyncio.gather(
            *(
                stack.enter_async_context(
                    worker_process(settings, tmp_path, environment, command=command, log=log)
                )
                for log, command in zip(logs, commands, strict=True)
            )
        )
        await hand_in(stand, "shared", 10)
        await stand.until_it_says(0, OPEN)

        await hand_in(stand, "flushed", 6)
        redis.client.flushall()
        await stand.until_it_says(0, OPEN)

        await redis.kill()
        await hand_in(stand, "away", 4)
        await stand.until_it_says(True, "SELECT count(*) = 4 FROM jobs WHERE state = 'queued'")
        await redis.start()
        await hand_in(stand, "back", 4)
        await stand.until_it_says(0, OPEN)
    assert await stand.sql("SELECT count(*) FROM jobs WHERE state = 'succeeded' AND attempts = 1") == 24
    assert sum(log.read_text().count("job succeeded") for log in logs) == 24
    assert await stand.sql("SELECT count(*) FROM document_versions WHERE state = 'ready'") == 24


async def upload_a_pipe(stand: Stand, name: str) -> UUID:
    """The job of a file that never ends: a pipe into which nobody writes."""

    async def stream() -> AsyncIterator[bytes]:
        yield name.encode()

    blob = await stand.blobs.put(stream(), limit=100)
    stand.blobs.path(blob.name).unlink()
    os.mkfifo(stand.blobs.path(blob.name))
    async with stand.database.transaction() as session:
        accepted = await Documents(session).accept(stand.knowledge_base, name, blob)
    assert accepted.job is not None
    return accepted.job.id


async def test_the_job_of_a_celery_worker_is_taken_over_or_handed_back(
    stand: Stand, settings: Settings, tmp_path: Path, redis: LocalRedis, environment: dict[str, str]
) -> None:
    count = 5 * BATCH
    job_id = await stand.job_of("large.md", handbook(count))
    async with worker_process(settings, tmp_path, environment, command=CELERY) as killed:
        await stand.until_it_says(True, "SELECT count(*) > 0 FROM embeddings")
        killed.kill()
        await killed.wait()
    assert (await stand.job(job_id)).state == "embedding"

    async with worker_process(settings, tmp_path, environment, command=CELERY) as process:
        job = await stand.until(job_id, lambda job: job.state == "succeeded")
        assert (job.attempts, job.fence, job.done) == (2, 2, count)

        endless = [await upload_a_pipe(stand, name) for name in ("one.md", "two.md")]
        for job_id in endless:  # both at once
            await stand.until(job_id, lambda job: job.state == "extracting")
        await redis.kill()
        process.send_signal(signal.SIGTERM)
        for job_id in endless:
            job = await stand.until(job_id, lambda job: job.state == "queued")
            assert (job.error_code, job.attempts, job.lease_until) == ("worker_stopped", 0, None)
        assert await asyncio.wait_for(process.wait(), 15) == 0
