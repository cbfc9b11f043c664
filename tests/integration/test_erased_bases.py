"""A knowledge base is erased with all that is in it, at a cost that does not grow with its square."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from rag_service.db.engine import Database
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.doctor.examination import examine
from rag_service.knowledge.vectors import collection_name
from rag_service.settings import Settings
from tests.integration.ingestion import Stand, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    """Three documents, ready to be asked, of a knowledge base that was deleted."""
    async with stand_on(settings, database) as made:
        for name in ("owls", "larks", "crows"):
            await made.upload(f"{name}.md", f"# {name}\n\nSome {name} sing.")
        await made.work()
        async with database.transaction() as session:
            await Documents(session).delete_all(await KnowledgeBases(session).hide("default"))
        yield made


async def debts(stand: Stand) -> list[tuple[str, Any]]:
    async with stand.database.transaction() as session:
        rows = await session.execute(text("SELECT collection, chunk_ids FROM stale_vectors"))
        return [(row[0], row[1]) for row in rows]


async def test_its_collection_is_owed_once_whole(stand: Stand) -> None:
    worker = stand.worker()
    collection = collection_name(stand.knowledge_base.id, stand.embedder.fingerprint)
    for _ in range(3):
        assert await worker.erase_one()
        assert await debts(stand) == [(collection, None)]
    assert len(await stand.vector_ids()) == 3
    assert await worker.erase_one()  # the knowledge base
    assert await worker.erase_one()  # the collection
    assert not await worker.erase_one()
    assert collection not in await stand.vectors.collections()
    examined = examine(stand.database, stand.vectors, stand.blobs, Path("/nowhere"))
    # Other tests' collections lie on the same server.
    assert [one async for one in examined if one.check != "orphan_collection"] == []


async def test_a_collection_is_owed_again_while_the_debt_is_being_paid(stand: Stand) -> None:
    worker = stand.worker()
    assert await worker.erase_one()
    async with stand.database.transaction() as paying:
        await paying.execute(text("SELECT 1 FROM stale_vectors FOR UPDATE"))
        assert await worker.erase_one()
        assert len(await debts(stand)) == 2


async def test_a_document_that_came_in_beside_the_deletion_is_erased(stand: Stand) -> None:
    await stand.sql("UPDATE documents SET deleted_at = NULL WHERE name = 'larks.md'")
    await stand.work()
    assert await stand.sql("SELECT count(*) FROM documents") == 0
    assert await stand.sql("SELECT count(*) FROM knowledge_bases") == 0


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("SELECT 1 FROM document_versions WHERE blob = 'one'", "ix_document_versions_blob"),
        (
            "SELECT 1 FROM documents WHERE deleted_at IS NOT NULL ORDER BY deleted_at",
            "ix_documents_deleted_at",
        ),
    ],
)
async def test_what_erasure_asks_for_is_found_by_an_index(stand: Stand, question: str, index: str) -> None:
    async with stand.database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(await session.scalars(text(f"EXPLAIN {question}")))
    assert index in plan
