"""The queue: jobs retried, given up, taken over, fenced, shared and handed back; and the worker that is woken."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ingest import worker as worker_module
from rag_service.db.engine import Database
from rag_service.db.listening import listen
from rag_service.db.models import Job
from rag_service.db.repositories.jobs import JOBS_CHANNEL, Jobs, LostLease
from rag_service.db.repositories.steps import Reached, Steps
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings
from rag_service.supervisor.sockets import free_loopback_port
from rag_service.testing.embedder import HashedWords
from tests.integration.ingestion import HeldEmbedder, Stand, handbook, running, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


@pytest.fixture
def nowhere() -> ChromaIndex:
    """A vector index that is down."""
    return ChromaIndex(f"http://127.0.0.1:{free_loopback_port(32_000, 32_999)}")


async def claim(stand: Stand, *, lease: float = 30) -> Job | None:
    async with stand.database.transaction() as session:
        jobs = Jobs(session)
        if lost := await jobs.claim_lost(lease=timedelta(seconds=lease)):
            return lost
        found = await jobs.claim(lease=timedelta(seconds=lease))
        return found[0] if found else None


async def make_due(stand: Stand, job_id: UUID) -> None:
    await stand.sql("UPDATE jobs SET not_before = now() WHERE id = :id", id=job_id)


async def test_a_job_without_its_vector_index_is_tried_again_later_and_then_succeeds(
    stand: Stand, nowhere: ChromaIndex
) -> None:
    job_id = await stand.job_of("a.md", handbook(3))
    assert await stand.worker(vectors=nowhere).run_one()
    job = await stand.job(job_id)
    assert (job.state, job.attempts, job.error_code) == ("queued", 0, "vector_index_unavailable")
    assert job.not_before is not None and job.lease_until is None
    assert timedelta(0) < job.not_before - datetime.now(UTC) < timedelta(seconds=4)
    assert not await stand.worker().run_one()  # not due yet
    assert await stand.readable() == []

    await make_due(stand, job_id)
    await stand.work()
    job = await stand.job(job_id)
    assert (job.state, job.attempts, job.error_code) == ("succeeded", 1, None)
    assert len(await stand.readable()) == 3
    assert stand.embedder.batches == [3]  # what the first attempt embedded was kept


async def test_an_outage_is_waited_out_however_long_it_takes_but_not_for_ever(
    stand: Stand, nowhere: ChromaIndex
) -> None:
    job_id = await stand.job_of("a.md", "text")
    lost = stand.worker(attempts=2, vectors=nowhere)
    for _ in range(9):
        await make_due(stand, job_id)
        assert await lost.run_one()
    await stand.sql("UPDATE jobs SET started_at = now() - interval '23 hours', not_before = now()")
    assert await lost.run_one()
    job = await stand.job(job_id)
    assert (job.state, job.attempts) == ("queued", 0)
    assert [end["code"] for end in job.history] == ["vector_index_unavailable"] * 10
    assert job.not_before is not None
    assert job.not_before - datetime.now(UTC) < timedelta(seconds=80)

    await stand.sql("UPDATE jobs SET started_at = now() - interval '25 hours', not_before = now()")
    assert await lost.run_one()
    job = await stand.job(job_id)
    assert (job.state, job.error_code) == ("quarantined", "vector_index_unavailable")
    assert len(job.history) == 10  # the last ones of eleven
    assert job.error_detail == "The vector index does not answer; try again in a moment."

    good = await stand.job_of("good.md", "text")
    await stand.work()
    assert (await stand.job(good)).state == "succeeded"
    assert (await stand.upload("a.md", "text")).job is not None  # the way back


async def test_a_fault_of_ours_costs_its_job_some_attempts_and_no_other_anything(stand: Stand) -> None:
    class Faulty(HashedWords):
        async def embed_texts(self, texts: Any) -> Vectors:
            if any("bad" in text for text in texts):
                raise ZeroDivisionError
            return await super().embed_texts(texts)

    bad, good = await stand.job_of("bad.md", "bad"), await stand.job_of("good.md", "good")
    worker = stand.worker(attempts=2, embedder=Faulty(), at_once=2)
    async with running(worker.run()):
        await stand.until(good, lambda job: job.state == "succeeded")
        job = await stand.until(bad, lambda job: job.state == "queued" and job.attempts == 1)
        assert job.error_code == "internal_error"
        await make_due(stand, bad)
        worker.wake()
        await stand.until(bad, lambda job: job.state == "quarantined")


async def test_eight_jobs_run_together_and_one_that_a_worker_died_over_runs_alone(stand: Stand) -> None:
    held = HeldEmbedder()
    jobs = [await stand.job_of(f"{number}.md", f"text {number}") for number in range(9)]
    lost = await claim(stand, lease=-1)  # the first: its worker is never heard of again
    assert lost is not None and lost.id == jobs[0]
    async with running(stand.worker(embedder=held, at_once=8).run()):
        await held.waiting_for(1)
        assert await stand.sql("SELECT count(*) FROM jobs WHERE state = 'queued'") == 8
        held.let_go()
        await held.waiting_for(8)
        held.let_go(8)
        for job_id in jobs:
            await stand.until(job_id, lambda job: job.state == "succeeded")
    assert await stand.sql("SELECT sum(attempts) FROM jobs") == 10


async def test_a_file_over_which_workers_die_is_quarantined(stand: Stand) -> None:
    bad, good = await stand.job_of("bad.md", "bad"), await stand.job_of("good.md", "good")
    for _ in range(3):  # three workers claim it, and are never heard of again
        job = await claim(stand, lease=-1)
        assert job is not None and job.id == bad
    await stand.work(stand.worker(attempts=3))
    job = await stand.job(bad)
    assert (job.state, job.error_code) == ("quarantined", "too_many_attempts")
    assert job.error_detail is not None and "after 3 attempts" in job.error_detail
    assert [end["code"] for end in job.history] == ["worker_lost"] * 3 + ["too_many_attempts"]
    assert (await stand.job(good)).state == "succeeded"


async def test_an_expired_lease_is_taken_over_and_the_first_worker_s_result_is_refused(stand: Stand) -> None:
    held = HeldEmbedder()
    job_id = await stand.job_of("a.md", handbook(4))
    async with running(stand.worker(embedder=held).run()):
        await held.reached.wait()
        # As if it had been stopped (SIGSTOP) for longer than its lease.
        await stand.sql("UPDATE jobs SET lease_until = now() - interval '1 second'")
        await stand.work()
        job = await stand.job(job_id)
        assert (job.state, job.fence, job.attempts) == ("succeeded", 2, 2)
        held.let_go()
        next_job = await stand.job_of("b.md", "next")  # the first worker goes on with the next
        held.let_go()
        await stand.until(next_job, lambda job: job.state == "succeeded")
    again = await stand.job(job_id)
    assert (again.state, again.fence, again.finished_at) == ("succeeded", 2, job.finished_at)
    readable = [item for item in await stand.readable() if item.filename == "a.md"]
    assert [item.chunk.ordinal for item in readable] == [0, 1, 2, 3]


async def test_a_stale_claim_can_write_nothing(stand: Stand) -> None:
    await stand.job_of("a.md", "text")
    stale = await claim(stand, lease=-1)
    fresh = await claim(stand)
    assert stale is not None and fresh is not None
    assert (stale.id, stale.fence, fresh.fence) == (fresh.id, 1, 2)
    writes: list[Callable[[Jobs], Awaitable[None]]] = [
        lambda jobs: jobs.finish(stale, "succeeded"),
        lambda jobs: jobs.hand_back(stale, after=timedelta(0), code="x", detail="x"),
    ]
    for write in writes:
        with pytest.raises(LostLease):
            async with stand.database.transaction() as session:
                await write(Jobs(session))
    async with stand.database.transaction() as session:
        both = [Reached(job, "storing", 1, 1) for job in (stale, fresh)]
        assert await Steps(session).advance(both, lease=timedelta(seconds=9)) == {fresh.id}
    job = await stand.job(fresh.id)
    assert (job.state, job.fence, job.done) == ("storing", 2, 1)


async def test_two_workers_at_once_do_each_of_twenty_jobs_once(stand: Stand) -> None:
    chance = random.Random(11)
    shared = handbook(8).split("\n\n# ")
    for number in range(20):
        chance.shuffle(shared)  # the same embeddings, in another order each time
        await stand.upload(f"{number:02}.md", f"# Own\n\nOwn text of {number}.\n\n# " + "\n\n# ".join(shared))
    first, second = HashedWords(), HashedWords()
    await asyncio.gather(stand.work(stand.worker(embedder=first)), stand.work(stand.worker(embedder=second)))
    assert await stand.sql("SELECT count(*) FROM jobs WHERE state = 'succeeded' AND attempts = 1") == 20
    assert await stand.sql("SELECT count(*) FROM jobs") == 20
    assert len(first.batches) + len(second.batches) == 20  # one of each document, whoever did it
    assert first.batches and second.batches
    assert await stand.sql("SELECT count(*) FROM chunks") == 20 * 9
    assert len(await stand.vector_ids()) == 20 * 9


async def test_a_worker_that_is_told_to_stop_hands_its_job_back_at_once(stand: Stand) -> None:
    held = HeldEmbedder()
    job_id = await stand.job_of("a.md", handbook(3))
    async with running(stand.worker(embedder=held).run()):
        await held.reached.wait()
    job = await stand.job(job_id)
    assert (job.state, job.error_code, job.lease_until) == ("queued", "worker_stopped", None)
    assert job.attempts == 0  # it was not the file's fault
    await stand.work()
    job = await stand.job(job_id)
    assert (job.state, job.attempts, job.error_code) == ("succeeded", 1, None)
    assert len(await stand.vector_ids()) == 3


async def test_an_upload_wakes_the_worker_that_else_would_not_look(
    stand: Stand, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LOOK_EVERY_SECONDS", 3600.0)
    worker = stand.worker()
    async with running(worker.run(), listen(stand.database, JOBS_CHANNEL, worker.wake)):
        for number in range(2):  # the second comes when the worker has long been waiting
            job_id = await stand.job_of(f"{number}.md", "text")
            await stand.until(job_id, lambda job: job.state == "succeeded")


async def test_without_being_woken_the_worker_looks_by_itself(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LOOK_EVERY_SECONDS", 0.05)
    async with running(stand.worker().run()):
        job_id = await stand.job_of("a.md", "text")
        await stand.until(job_id, lambda job: job.state == "succeeded")
