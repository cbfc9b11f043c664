"""A collection built anew from the embeddings that PostgreSQL keeps, while questions are answered from the old one.

An HNSW graph never shrinks and does not heal: what was deleted stays in it, what was damaged stays damaged.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.locks import locked
from rag_service.db.repositories.consistency import Consistency
from rag_service.errors import Conflict
from rag_service.knowledge.consistency import Comparison, Seen, unseen
from rag_service.knowledge.vectors import VectorIndex, collection_name, successor


@asynccontextmanager
async def rebuilding(database: Database, knowledge_base_id: UUID) -> AsyncIterator[None]:
    """Within the block nobody else rebuilds this knowledge base's collections.

    Raises:
        Conflict: somebody else does.
    """
    async with locked(database, f"rebuild {knowledge_base_id}") as free:
        if not free:
            raise Conflict(
                "This knowledge base is being reindexed by another process; wait until it is done.",
                code="reindex_under_way",
            )
        yield


async def rebuild(
    database: Database, vectors: VectorIndex, knowledge_base_id: UUID, model: str, *, seen: Seen = unseen
) -> None:
    """Build the collection anew and put it in the old one's place. Call it within `rebuilding`.

    Cut short at any point and called again it goes on where it was. A chunk without an embedding is left out.
    """
    name = collection_name(knowledge_base_id, model)
    new = Comparison(database, vectors, knowledge_base_id, model, collection=successor(name))
    await new.missing(mend=True, seen=seen)
    await new.missing(
        mend=True
    )  # what came in meanwhile: little, so that almost nothing is missing at the change
    if await vectors.count(new.collection):
        await vectors.replace(name)
    else:
        await vectors.drop(name)
        await vectors.drop(new.collection)
    # A worker may have written into the old one until it was gone.
    await catch_up(database, vectors, knowledge_base_id, model)


async def catch_up(database: Database, vectors: VectorIndex, knowledge_base_id: UUID, model: str) -> None:
    """Make the collection in use agree with PostgreSQL, jobs under way included."""
    live = Comparison(database, vectors, knowledge_base_id, model)
    await live.missing(mend=True, under_way=True)
    await live.stale(mend=True)


async def switch(database: Database, vectors: VectorIndex, knowledge_base_id: UUID, model: str) -> bool:
    """Let the knowledge base's vectors be of `model` from now on, if all that is active has been embedded with it.

    Processes that still use the model before answer from its collection until `forget_previous`. False means
    that something came in meanwhile that has no embedding yet. Call it within `rebuilding`.
    """
    async with database.transaction() as session:
        repository = Consistency(session)
        # Waits for workers that are just activating a version, and keeps others from it.
        base = await repository.models(knowledge_base_id, hold="change")
        if base is None or base.embedding_model == model:
            return True
        if await repository.count_without_embedding(knowledge_base_id, model):
            return False
        older = base.previous_embedding_model
        base.previous_embedding_model, base.embedding_model = base.embedding_model, model
    if older not in (None, model, base.previous_embedding_model):
        await vectors.drop(collection_name(knowledge_base_id, older))
    return True


async def forget_previous(database: Database, vectors: VectorIndex, knowledge_base_id: UUID) -> None:
    """Drop what was kept of the model before, for processes that no longer run. Call it within `rebuilding`."""
    async with database.transaction() as session:
        repository = Consistency(session)
        base = await repository.models(knowledge_base_id, hold="change")
        if base is None or base.previous_embedding_model is None:
            return
        previous, base.previous_embedding_model = base.previous_embedding_model, None
        await session.flush()
        await repository.forget_embeddings(previous)
    await vectors.drop(collection_name(knowledge_base_id, previous))
