"""The worker as a process: killed in the midst of a job, and told to stop in the midst of one."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

import ingest
from ingest.pipeline import BATCH
from rag_service.db.engine import Database
from rag_service.knowledge.embeddings import BUILT_IN, BUILT_IN_SHA256
from rag_service.settings import Settings
from rag_service.testing.model_server import ModelServer
from tests.conftest import SECRET
from tests.integration.ingestion import WAIT_SECONDS, Stand, handbook, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        await made.use_model("openai:fake-embedding@384")
        yield made


@asynccontextmanager
async def worker_process(
    settings: Settings,
    folder: Path,
    environment: Mapping[str, str],
    *,
    command: Sequence[str] = ("-m", "ingest", "worker"),
    log: Path | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m ingest worker` with the settings of the test, in a folder without a .env file, once it is ready."""
    assert settings.database_url and settings.chroma_url
    path = log or folder / f"{uuid4()}.log"
    with path.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command),
            cwd=folder,
            stdout=output,
            stderr=output,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(ingest.__file__).parents[1]),
                "DATABASE_URL": settings.database_url.get_secret_value(),
                "CHROMA_URL": settings.chroma_url,
                "RAG_SECRET_KEY": SECRET,
                "RAG_STATE_DIR": str(settings.state_dir),
                "RAG_JOB_LEASE_SECONDS": "2",
                **environment,
            },
        )
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while b"worker ready" not in path.read_bytes():
                assert process.returncode is None, path.read_text()
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def remote(model_server: ModelServer) -> dict[str, str]:
    """Embeddings come from a server: the process starts in a second, without loading a model."""
    return {
        "RAG_EMBEDDING_MODEL": "openai:fake-embedding",
        "OPENAI_BASE_URL": model_server.base_url,
        "OPENAI_API_KEY": "sk-local",
    }


async def test_a_worker_killed_in_mid_job_costs_nothing_but_time(
    stand: Stand, settings: Settings, tmp_path: Path, remote: dict[str, str]
) -> None:
    count = 5 * BATCH
    job_id = await stand.job_of("large.md", handbook(count))
    async with worker_process(settings, tmp_path, remote) as first:
        # The first of five batches is stored, the second is embedded.
        await stand.until_it_says(True, "SELECT count(*) > 0 FROM embeddings")
        first.kill()
        await first.wait()
    job = await stand.job(job_id)
    assert (job.state, job.attempts) == ("embedding", 1)
    assert 0 < await stand.sql("SELECT count(*) FROM embeddings") < count

    async with worker_process(settings, tmp_path, remote):
        job = await stand.until(job_id, lambda job: job.state == "succeeded")
    assert (job.attempts, job.fence, job.done) == (2, 2, count)
    chunks = await stand.chunks(job.version_id)
    assert [item.ordinal for item in chunks] == list(range(count))
    assert await stand.vector_ids("openai:fake-embedding@384") == {item.id for item in chunks}
    assert await stand.sql("SELECT count(*) FROM embeddings") == count


async def test_a_worker_stopped_past_its_lease_changes_nothing_when_it_goes_on(
    stand: Stand, settings: Settings, tmp_path: Path, remote: dict[str, str]
) -> None:
    count = 5 * BATCH
    job_id = await stand.job_of("large.md", handbook(count))
    async with worker_process(settings, tmp_path, remote) as first:
        await stand.until_it_says(True, "SELECT count(*) > 0 FROM embeddings")
        first.send_signal(signal.SIGSTOP)
        assert (await stand.job(job_id)).state == "embedding"
        async with worker_process(settings, tmp_path, remote) as second:
            done = await stand.until(job_id, lambda job: job.state == "succeeded")
            assert (done.attempts, done.fence) == (2, 2)
            vectors = await stand.vector_ids("openai:fake-embedding@384")
            second.send_signal(signal.SIGTERM)
            await second.wait()
        first.send_signal(signal.SIGCONT)
        # Once it does another job, it has done with that one.
        next_id = await stand.job_of("next.md", handbook(1))
        await stand.until(next_id, lambda job: job.state == "succeeded")
    job = await stand.job(job_id)
    assert (job.state, job.attempts, job.fence, job.finished_at) == ("succeeded", 2, 2, done.finished_at)
    chunks = await stand.chunks(job.version_id)
    assert vectors == {item.id for item in chunks} and len(chunks) == count
    (added,) = await stand.chunks((await stand.job(next_id)).version_id)
    assert await stand.vector_ids("openai:fake-embedding@384") == vectors | {added.id}


async def test_sigterm_hands_the_job_back_at_once_and_ends_the_worker(
    stand: Stand, settings: Settings, tmp_path: Path, remote: dict[str, str]
) -> None:
    accepted = await stand.upload("endless.md", "replaced by a pipe that nobody writes to")
    assert accepted.job is not None
    blob = stand.blobs.path(await stand.sql("SELECT blob FROM document_versions"))
    blob.unlink()
    os.mkfifo(blob)
    remote["RAG_JOB_LEASE_SECONDS"] = "3600"
    async with worker_process(settings, tmp_path, remote) as process:
        await stand.until(accepted.job.id, lambda job: job.state == "extracting")
        process.send_signal(signal.SIGTERM)
        job = await stand.until(accepted.job.id, lambda job: job.state == "queued")
        assert (job.error_code, job.attempts, job.lease_until) == ("worker_stopped", 0, None)
        assert await asyncio.wait_for(process.wait(), 15) == 0


async def test_sigterm_ends_a_worker_that_waits_for_its_database(
    settings: Settings, tmp_path: Path, remote: dict[str, str]
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "postgresql://rag@127.0.0.1:1/rag",
        "CHROMA_URL": "http://127.0.0.1:1",
        "RAG_SECRET_KEY": SECRET,
        "RAG_STATE_DIR": str(settings.state_dir),
        **remote,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ingest", "worker"), cwd=tmp_path, env=environment
    )
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            # Its handler of the signal is there: without it, any process would end.
            while not _handles(process.pid, signal.SIGTERM):
                assert process.returncode is None
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _handles(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


async def test_a_worker_with_the_built_in_model_reads_what_is_uploaded(
    stand: Stand, settings: Settings, tmp_path: Path
) -> None:
    await stand.use_model(f"{BUILT_IN}@{BUILT_IN_SHA256[:8]}")
    job_id = await stand.job_of("a.md", handbook(3))
    async with worker_process(settings, tmp_path, {"OMP_NUM_THREADS": "1"}):
        job = await stand.until(job_id, lambda job: job.state == "succeeded")
    chunks = await stand.chunks(job.version_id)
    fingerprint = f"{BUILT_IN}@{BUILT_IN_SHA256[:8]}"
    assert await stand.vector_ids(fingerprint) == {item.id for item in chunks}
    assert await stand.sql("SELECT DISTINCT model FROM embeddings") == fingerprint
