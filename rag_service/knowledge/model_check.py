"""Whether this process's embedding model is the one that a knowledge base's vectors are of.

Vectors of different models cannot be compared: a question would silently find nothing, or nonsense.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.consistency import Consistency
from rag_service.db.repositories.knowledge_bases import look_up
from rag_service.errors import EmbeddingModelMismatch


async def check_can_ask(
    database: Database, knowledge_base_id: UUID, fingerprint: str
) -> KnowledgeBase | None:
    """The knowledge base, if it has vectors of this model: its own, or the one before a change of model.

    None where there is no such knowledge base.

    Raises:
        EmbeddingModelMismatch: it has not.
    """
    found = await look_up(database, knowledge_base_id)
    if found is not None:
        check_model(found, fingerprint)
    return found


def check_model(knowledge_base: KnowledgeBase, fingerprint: str) -> None:
    """As `check_can_ask`, of a knowledge base that was just read."""
    if fingerprint not in knowledge_base.embedding_models:
        raise _mismatch(knowledge_base, fingerprint)


async def check_can_store(session: AsyncSession, knowledge_base_id: UUID, fingerprint: str) -> None:
    """Return if new vectors are to be of this model. It cannot change until the caller's transaction ends.

    Call it before other rows are locked: who deletes a knowledge base locks in this order too.

    Raises:
        EmbeddingModelMismatch: they are of another, perhaps since a moment ago.
    """
    found = await Consistency(session).models(knowledge_base_id, hold="share")
    if found is not None:
        check_is_model(found, fingerprint)


def check_is_model(knowledge_base: KnowledgeBase, fingerprint: str) -> None:
    """As `check_can_store`, of a knowledge base that was just read, and for this moment only."""
    if fingerprint != knowledge_base.embedding_model:
        raise _mismatch(knowledge_base, fingerprint)


def _mismatch(found: KnowledgeBase, fingerprint: str) -> EmbeddingModelMismatch:
    return EmbeddingModelMismatch(
        f"The vectors of the knowledge base {found.slug!r} are of the model {found.embedding_model}, but this process "
        f"uses {fingerprint}. Set RAG_EMBEDDING_MODEL back and restart, or change the knowledge base over: "
        f"rag-ingest reindex --knowledge-base {found.slug}"
    )
