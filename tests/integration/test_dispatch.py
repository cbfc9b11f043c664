"""Telling Celery of jobs: which, how many, and again when it was not heard."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from ingest import dispatch
from ingest.dispatch import Dispatcher
from rag_service.db.engine import Database
from rag_service.db.repositories.jobs import Jobs
from rag_service.errors import Unavailable
from rag_service.settings import Settings
from tests.integration.ingestion import Stand, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


class ListBroker:
    """A broker that is a list, and can be away."""

    def __init__(self) -> None:
        self.messages: list[UUID] = []
        self.away = False

    def waiting(self) -> int:
        return len(self.messages)

    def send(self, job_ids: Sequence[UUID]) -> None:
        if self.away:
            raise Unavailable("Away.")
        self.messages += job_ids


async def test_what_is_due_is_sent_once_and_nothing_else(stand: Stand) -> None:
    broker = ListBroker()
    dispatcher = Dispatcher(stand.database, broker)
    due = [await stand.job_of(f"{number}.md", f"text {number}") for number in range(3)]
    later = await stand.job_of("later.md", "later")
    await stand.sql("UPDATE jobs SET not_before = now() + interval '1 hour' WHERE id = :id", id=later)
    assert await dispatcher.dispatch() == due
    assert await Dispatcher(stand.database, broker).dispatch() == []  # as another worker's would see it
    assert broker.messages == due


async def test_what_was_lost_is_sent_again_once_no_message_waits(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "TAKEN_WITHIN", timedelta(0))
    broker = ListBroker()
    dispatcher = Dispatcher(stand.database, broker)
    due = [await stand.job_of(f"{number}.md", f"text {number}") for number in range(2)]
    assert await dispatcher.dispatch() == due
    assert await dispatcher.dispatch() == []
    broker.messages.clear()
    assert await dispatcher.dispatch() == due


async def test_what_could_not_be_sent_does_not_count_as_sent(stand: Stand) -> None:
    broker = ListBroker()
    dispatcher = Dispatcher(stand.database, broker)
    job_id = await stand.job_of("a.md", "text")
    broker.away = True
    with pytest.raises(Unavailable):
        await dispatcher.dispatch()
    broker.away = False
    assert await dispatcher.dispatch() == [job_id]


async def test_no_more_messages_wait_than_there_is_room_for(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "AHEAD", 3)
    broker = ListBroker()
    dispatcher = Dispatcher(stand.database, broker)
    due = [await stand.job_of(f"{number}.md", f"text {number}") for number in range(5)]
    assert await dispatcher.dispatch() == due[:3]
    assert await dispatcher.dispatch() == []
    broker.messages.pop(0)
    assert await dispatcher.dispatch() == due[3:4]


async def test_a_message_for_a_job_that_is_taken_ended_or_not_due_does_nothing(stand: Stand) -> None:
    worker = stand.worker()
    taken = await stand.job_of("taken.md", "taken")
    async with stand.database.transaction() as session:
        assert await Jobs(session).claim_that(taken, lease=timedelta(seconds=30))
    assert not await worker.run_one(taken)

    ended = await stand.job_of("ended.md", "ended")
    assert await worker.run_one(ended)
    assert not await worker.run_one(ended)

    later = await stand.job_of("later.md", "later")
    await stand.sql("UPDATE jobs SET not_before = now() + interval '1 hour' WHERE id = :id", id=later)
    assert not await worker.run_one(later)
    assert not await worker.run_one(UUID(int=0))
    assert [(await stand.job(job_id)).attempts for job_id in (taken, ended, later)] == [1, 1, 0]
