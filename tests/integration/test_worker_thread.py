"""The worker's thread at its end: whoever hands it a job meanwhile gets an answer, and the job is left in the queue."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from ingest.dispatch import AHEAD
from ingest.worker_thread import WorkerThread
from rag_service.db.engine import Database
from rag_service.settings import Settings
from rag_service.testing.model_server import ModelServer
from tests.integration.ingestion import Stand, stand_on

CALLERS = 8
SECONDS = 20


class FullBroker:
    """Takes no message: the test hands the jobs over itself."""

    def waiting(self) -> int:
        return AHEAD

    def send(self, job_ids: Sequence[UUID]) -> None:
        raise AssertionError(job_ids)


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        await made.use_model("openai:fake-embedding@384")
        yield made


# What speaks HTTP is closed with its loop, which a process outlives only here.
@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")
async def test_nobody_waits_for_a_thread_that_has_ended_and_no_job_is_lost_with_it(
    stand: Stand, settings: Settings, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
    theirs = settings.model_copy(
        update={"embedding_model": "openai:fake-embedding", "openai_base_url": model_server.base_url}
    )
    failed = threading.Event()
    worker = WorkerThread(theirs, FullBroker(), failed=failed.set)
    await asyncio.to_thread(worker.start)
    first, second = await stand.job_of("a.md", "One."), await stand.job_of("b.md", "Two.")
    await asyncio.to_thread(worker.do, first)
    assert (await stand.job(first)).state == "succeeded"

    answered = []
    calling, ended = threading.Barrier(CALLERS + 1), threading.Event()

    def hand_over() -> None:
        calling.wait(SECONDS)
        while not ended.is_set():
            worker.do(first)  # has ended: it is passed over
        worker.do(second)
        answered.append(True)

    callers = [threading.Thread(target=hand_over, daemon=True) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    await asyncio.to_thread(calling.wait, SECONDS)
    worker.stop()
    await asyncio.to_thread(worker.join)
    ended.set()
    for caller in callers:
        await asyncio.to_thread(caller.join, SECONDS)
    assert len(answered) == CALLERS and not failed.is_set()
    job = await stand.job(second)
    assert (job.state, job.attempts) == ("queued", 0)
