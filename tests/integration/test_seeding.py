"""A knowledge base that the bench has filled is one that uploads and a worker might have filled."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from evals.bench.seeding import CHUNKS_OF_DOCUMENT, Subjects, fill
from rag_service.db.engine import Database
from rag_service.doctor.examination import examine
from rag_service.settings import Settings
from rag_service.testing.embedder import HashedWords
from tests.integration.ingestion import Stand, stand_on

TEXTS = ["the lamp on the desk is lit at dusk by hand", "a boat goes down the river before the rain comes"]
TABLES = ("documents", "document_versions", "jobs", "chunks", "embeddings")


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


async def seeded(stand: Stand, documents: int) -> None:
    subjects = Subjects(TEXTS, await HashedWords().embed_texts(TEXTS))
    base, chunks = stand.knowledge_base, documents * CHUNKS_OF_DOCUMENT
    await fill(stand.database, stand.vectors, stand.blobs, base, chunks, subjects, say=lambda _: None)


async def rows(stand: Stand, table: str) -> list[dict[str, Any]]:
    async with stand.database.transaction() as session:
        found = await session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - a name of ours
        return [dict(row) for row in found.mappings()]


async def test_the_doctor_finds_nothing(stand: Stand) -> None:
    await seeded(stand, 3)
    examined = examine(stand.database, stand.vectors, stand.blobs, Path("/nowhere"))
    # Other tests' collections lie on the same server.
    assert [one async for one in examined if one.check != "orphan_collection"] == []
    assert len(await stand.vector_ids()) == 3 * CHUNKS_OF_DOCUMENT


@pytest.mark.parametrize("table", TABLES)
async def test_rows_have_the_columns_filled_that_a_worker_fills(stand: Stand, table: str) -> None:
    await stand.upload("read.txt", TEXTS[0])
    await stand.work()
    read = await rows(stand, table)
    await seeded(stand, 1)
    added = [row for row in await rows(stand, table) if row not in read]
    assert added
    assert {_filled(row) for row in added} == {_filled(row) for row in read}


def _filled(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, value in row.items() if value is not None)


async def test_a_chunk_stands_in_its_file_where_its_row_says(stand: Stand) -> None:
    await seeded(stand, 1)
    version = (await rows(stand, "document_versions"))[0]
    said = stand.blobs.path(version["blob"]).read_text()
    for row in await rows(stand, "chunks"):
        assert said[row["char_start"] : row["char_end"]] == row["text"]
