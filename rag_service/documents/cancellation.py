"""A job is cancelled, and what it had stored so far goes from the vector index."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.repositories.job_orders import JobOrders
from rag_service.knowledge.stale import enter_as_stale


async def cancel(session: AsyncSession, job_id: UUID) -> None:
    """End a job that has not ended, in the caller's transaction.

    What its worker still writes before it notices, that one enters as stale itself. Tried anew, the job wants its
    vectors again: they are then left, or written once more.

    Raises:
        NotFound: there is no such job.
        Conflict: it has ended otherwise than by being cancelled.
    """
    ended = await JobOrders(session).cancel(job_id)
    if ended is not None:
        await enter_as_stale(session, ended)
