"""The same document again: unchanged bytes, new versions, two at once, and deletion in the midst of it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from ingest import worker
from rag_service.db.engine import Database
from rag_service.db.repositories.documents import Documents
from rag_service.settings import Settings
from tests.integration.ingestion import HeldEmbedder, Stand, handbook, running, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


async def active_number(stand: Stand) -> int:
    found = await stand.sql(
        "SELECT number FROM document_versions v JOIN documents d ON d.active_version_id = v.id"
    )
    return int(found)


async def blob_of(stand: Stand, version_id: UUID) -> bytes:
    name = await stand.sql("SELECT blob FROM document_versions WHERE id = :id", id=version_id)
    return await asyncio.to_thread(stand.blobs.path(name).read_bytes)


async def test_the_same_bytes_again_are_unchanged_read_or_not(stand: Stand) -> None:
    first = await stand.upload("a.md", "# A\n\ntext")
    waiting = await stand.upload("a.md", "# A\n\ntext")
    await stand.work()
    done = await stand.upload("a.md", "# A\n\ntext")
    assert [item.outcome for item in (first, waiting, done)] == ["added", "unchanged", "unchanged"]
    assert waiting.job is done.job is None
    assert await stand.sql("SELECT count(*) FROM document_versions") == 1
    assert await stand.sql("SELECT count(*) FROM jobs") == 1


async def test_an_earlier_text_uploaded_again_is_a_new_version(stand: Stand) -> None:
    for text in ("one", "two", "one"):
        await stand.upload("a.md", text)
        await stand.work()
    assert await active_number(stand) == 3
    assert [item.chunk.text for item in await stand.readable()] == ["one"]


async def test_the_same_bytes_under_two_names_are_two_documents(stand: Stand) -> None:
    assert (await stand.upload("a.md", "text")).outcome == "added"
    assert (await stand.upload("b.md", "text")).outcome == "added"
    await stand.work()
    assert stand.embedder.batches == [1]  # but what they say is embedded once
    assert [item.filename for item in await stand.readable()] == ["a.md", "b.md"]


async def test_uploads_of_one_name_at_once_are_numbered_apart_and_the_last_wins(stand: Stand) -> None:
    texts = [f"version {number}" for number in range(5)]
    uploads = await asyncio.gather(*(stand.upload("a.md", text) for text in texts))
    assert sorted(item.outcome for item in uploads) == ["added", *["updated"] * 4]
    assert len({item.document.id for item in uploads}) == 1
    await asyncio.gather(stand.work(stand.worker()), stand.work(stand.worker()))
    numbers = await stand.sql("SELECT array_agg(number ORDER BY number) FROM document_versions")
    assert numbers == [1, 2, 3, 4, 5]
    assert await active_number(stand) == 5
    last = await stand.sql("SELECT active_version_id FROM documents")
    (readable,) = await stand.readable()
    assert readable.chunk.text == (await blob_of(stand, last)).decode()
    assert await stand.vector_ids() == {readable.chunk.id}


async def test_an_older_version_that_is_finished_later_does_not_come_back(stand: Stand) -> None:
    held = HeldEmbedder()
    older = await stand.job_of("a.md", "the older text")
    async with running(stand.worker(embedder=held).run()):
        await held.reached.wait()
        newer = await stand.job_of("a.md", "the newer text")
        await stand.work()
        assert (await stand.job(newer)).state == "succeeded"
        held.let_go()
        await stand.until(older, lambda job: job.state == "succeeded")
        assert await active_number(stand) == 2
        (readable,) = await stand.readable()
        assert readable.chunk.text == "the newer text"
        await stand.until_vectors_are(lambda ids: ids == {readable.chunk.id})


async def test_a_new_version_takes_the_place_of_the_old_one_and_embeds_only_what_changed(
    stand: Stand,
) -> None:
    await stand.upload("a.md", handbook(6))
    await stand.work()
    old = {item.chunk.id for item in await stand.readable()}
    stand.embedder.batches.clear()

    await stand.upload("a.md", handbook(6, changed=3))
    await stand.work()
    assert stand.embedder.batches == [1]
    readable = await stand.readable()
    assert [item.chunk.text.split()[0] for item in readable] == ["Old", "Old", "Old", "New", "Old", "Old"]
    new = {item.chunk.id for item in readable}
    assert not new & old
    assert await stand.vector_ids() == new


async def test_until_the_new_version_is_ready_the_old_one_is_read(stand: Stand) -> None:
    await stand.upload("a.md", "the old text")
    await stand.work()
    held = HeldEmbedder()
    job_id = await stand.job_of("a.md", "the new text")
    async with running(stand.worker(embedder=held).run()):
        await held.reached.wait()
        assert [item.chunk.text for item in await stand.readable()] == ["the old text"]
        held.let_go()
        await stand.until(job_id, lambda job: job.state == "succeeded")
    assert [item.chunk.text for item in await stand.readable()] == ["the new text"]


async def test_a_document_deleted_before_its_turn_is_not_read(stand: Stand) -> None:
    job_id = await stand.job_of("a.md", "text")
    await stand.sql("UPDATE documents SET deleted_at = now()")
    assert await stand.worker().run_one()
    job = await stand.job(job_id)
    assert (job.state, job.error_code) == ("cancelled", "document_deleted")
    assert stand.embedder.batches == []


async def test_a_document_deleted_while_it_is_read_leaves_nothing_to_find(stand: Stand) -> None:
    held = HeldEmbedder()
    job_id = await stand.job_of("a.md", handbook(3))
    async with running(stand.worker(embedder=held).run()):
        await held.reached.wait()
        await stand.sql("UPDATE documents SET deleted_at = now()")
        held.let_go()
        # Cancelled by the worker, which then erases the document and the job with it.
        await stand.until_it_says(0, "SELECT count(*) FROM jobs WHERE id = :id", id=job_id)
        await stand.until_it_says(0, "SELECT count(*) FROM stale_vectors")
    assert await stand.readable() == []
    assert await stand.vector_ids() == set()
    assert await stand.sql("SELECT count(*) FROM chunks") == 0


async def test_a_delete_stops_the_reading_and_erases_what_was_written(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_EVERY_SECONDS", 0.1)
    held = HeldEmbedder()
    accepted = await stand.upload("a.md", handbook(300))
    blob = await stand.sql("SELECT blob FROM document_versions")
    async with running(stand.worker(embedder=held, lease=1).run()):
        await held.reached.wait()
        held.let_go()  # of two batches
        await stand.until_vectors_are(bool)
        async with stand.database.transaction() as session:
            await Documents(session).delete(accepted.document.id)
        await stand.until_it_says(0, "SELECT count(*) FROM documents")
        await stand.until_vectors_are(lambda ids: not ids)  # a debt of the erasing, paid behind it
    assert await stand.vector_ids() == set()
    assert await stand.sql("SELECT count(*) FROM chunks") == 0
    assert await stand.sql("SELECT count(*) FROM embeddings") == 0
    assert not stand.blobs.path(blob).exists()
    assert (await stand.upload("a.md", "again")).outcome == "added"
