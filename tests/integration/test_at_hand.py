"""Vectors that are kept between questions: whole, those of active versions, and no more than there is room for."""

from collections.abc import AsyncIterator

import pytest

from rag_service.db.engine import Database
from rag_service.db.repositories.filters import Filters
from rag_service.db.repositories.read_back import MatchingDocument, ReadBack
from rag_service.knowledge import at_hand
from rag_service.knowledge.at_hand import VectorsAtHand
from rag_service.settings import Settings
from rag_service.testing.embedder import HashedWords
from tests.integration.ingestion import Stand, stand_on

MODEL = HashedWords().fingerprint


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        for name in ("moon", "sun"):
            await made.upload(f"{name}.md", f"The {name} is up.")
        await made.work()
        yield made


async def documents(stand: Stand) -> list[MatchingDocument]:
    ids = await stand.sql("SELECT array_agg(id ORDER BY name) FROM documents")
    return await ReadBack(stand.database).matching(stand.knowledge_base.id, Filters(document_ids=tuple(ids)))


async def test_what_is_whole_is_read_once_and_anew_for_a_new_version(stand: Stand) -> None:
    kept = VectorsAtHand(stand.database)
    both = await documents(stand)
    first = await kept.of(MODEL, both)
    assert len(first.ids) == 2 and first.vectors.shape == (2, HashedWords().dimensions)
    assert await kept.of(MODEL, both[::-1]) is first
    assert await kept.of(MODEL, both[:1]) is not first

    await stand.upload("moon.md", "The moon is down.")
    await stand.work()
    other = await kept.of(MODEL, await documents(stand))
    assert len(other.ids) == 2 and len(set(other.ids) & set(first.ids)) == 1


async def test_what_lacks_a_vector_is_looked_for_again(stand: Stand) -> None:
    kept = VectorsAtHand(stand.database)
    both = await documents(stand)
    await stand.sql("WITH gone AS (DELETE FROM embeddings RETURNING *) SELECT count(*) FROM gone")
    assert not (await kept.of(MODEL, both)).ids
    assert await kept.of(MODEL, both) is not await kept.of(MODEL, both)


async def test_no_more_is_kept_than_there_is_room_for(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await documents(stand)
    size = 4 * HashedWords().dimensions
    monkeypatch.setattr(at_hand, "MOST_BYTES", size)
    kept = VectorsAtHand(stand.database)
    first = await kept.of(MODEL, [one])
    assert await kept.of(MODEL, [one]) is first
    second = await kept.of(MODEL, [other])
    assert await kept.of(MODEL, [other]) is second
    assert await kept.of(MODEL, [one]) is not first
