"""The queue: jobs that nobody does, and what was deleted and is still there."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.consistency import Consistency
from rag_service.doctor.findings import Finding
from rag_service.knowledge.consistency import EXAMPLES

PATIENCE = timedelta(minutes=5)
"""How long a worker may take to notice that there is something to do."""

START = "start a worker: rag-ingest worker (`rag serve` starts one by itself)"


async def examine_work(database: Database) -> AsyncIterator[Finding]:
    """Raises DatabaseUnavailable."""
    async with database.transaction() as session:
        repository = Consistency(session)
        listening = await repository.workers()
        abandoned = await repository.abandoned(since=PATIENCE)
        waiting = [] if listening else await repository.waiting(since=timedelta(0))
        unerased = await repository.unerased(since=PATIENCE if listening else timedelta(0))
        debts = await repository.debts(since=PATIENCE if listening else timedelta(0))
    busy = (
        "a worker is connected: look into its log, and restart it if it does nothing" if listening else START
    )
    for finding in (
        _of(
            abandoned, "abandoned_jobs", "jobs lost their worker long ago, and no other took them over", busy
        ),
        _of(waiting, "waiting_jobs", "jobs are due, and no worker listens", START),
        _of(unerased, "unerased_documents", "documents were deleted, but not yet erased", busy),
        _of(debts, "unpaid_debts", "removals from the vector index are owed", busy),
    ):
        if finding.count:
            yield finding


def _of(ids: Sequence[UUID], check: str, what: str, todo: str) -> Finding:
    return Finding(check, "jobs", what, todo, len(ids), 0, [str(id) for id in ids[:EXAMPLES]])
