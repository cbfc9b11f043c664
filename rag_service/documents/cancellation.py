"""A job is cancelled, and what it had stored so far goes from the vector index."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Job
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.job_orders import JobOrders
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.stale_vectors import Stale
from rag_service.knowledge.vectors import collection_name


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
        await _enter_as_stale(session, ended)


async def _enter_as_stale(session: AsyncSession, job: Job) -> None:
    base = await KnowledgeBases(session).get(job.knowledge_base_id)
    ids = await Chunks(session).ids_of(job.version_id)
    for model in base.embedding_models:
        await Stale(session).enter(collection_name(base.id, model), ids)
