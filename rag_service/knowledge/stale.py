"""Vectors of a job that came to nothing."""

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Job
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.stale_vectors import Stale
from rag_service.knowledge.vectors import collection_name


async def enter_as_stale(session: AsyncSession, job: Job) -> None:
    """What a job that did not succeed has stored in the vector index is to go."""
    base = await KnowledgeBases(session).get(job.knowledge_base_id)
    ids = await Chunks(session).ids_of(job.version_id)
    for model in base.embedding_models:
        await Stale(session).enter(collection_name(base.id, model), ids)
