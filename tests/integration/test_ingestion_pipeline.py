"""One document's way from bytes to chunks that can be quoted, on a real PostgreSQL and Chroma."""

from collections.abc import AsyncIterator

import pytest

from ingest.pipeline import BATCH
from rag_service.db.engine import Database
from rag_service.settings import Settings
from tests.integration.ingestion import HeldEmbedder, Stand, handbook, running, stand_on
from tests.unit.ingest import files


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


async def test_a_document_becomes_chunks_vectors_and_an_active_version(stand: Stand) -> None:
    text = handbook(5)
    accepted = await stand.upload("handbook.md", text)
    assert accepted.job is not None
    assert (accepted.outcome, accepted.job.state) == ("added", "queued")
    await stand.work()

    job = await stand.job(accepted.job.id)
    assert (job.state, job.done, job.total, job.attempts, job.error_code) == ("succeeded", 5, 5, 1, None)
    assert job.started_at is not None and job.finished_at is not None and job.lease_until is None
    chunks = await stand.chunks(job.version_id)
    assert [item.headings for item in chunks] == [[f"Section {number}"] for number in range(5)]
    assert all(item.text == text[item.char_start : item.char_end] for item in chunks)
    assert await stand.vector_ids() == {item.id for item in chunks}
    readable = await stand.readable()
    assert [item.chunk.id for item in readable] == [item.id for item in chunks]
    assert {(item.filename, item.title) for item in readable} == {("handbook.md", "Section 0")}
    assert await stand.sql("SELECT count(*) FROM embeddings") == 5
    version = "SELECT state || ' ' || media_type || ' ' || chunk_count FROM document_versions"
    assert await stand.sql(version) == "ready text/markdown 5"


async def test_pages_and_table_headers_are_kept(stand: Stand) -> None:
    rows = [["Product", "Days"], *([f"Camera {number}", "14"] for number in range(40))]
    await stand.upload("a.pdf", files.pdf("One\nThe first page.", "Two\nThe second page."))
    await stand.upload("b.docx", files.word(rows=rows))
    await stand.work()
    found = await stand.readable()
    pages = {item.chunk.text: item.chunk.page for item in found if item.filename == "a.pdf"}
    assert pages == {"The first page.": 1, "The second page.": 2}
    later = [item.chunk for item in found if item.chunk.context]
    assert {item.context for item in later} == {"| Product | Days |"}
    assert {tuple(item.headings) for item in later} == {("Returns", "Periods")}


async def test_a_job_tells_its_state_and_progress_while_it_runs(stand: Stand) -> None:
    embedder = HeldEmbedder()
    count = BATCH + 10
    job_id = await stand.job_of("large.md", handbook(count))
    assert (await stand.job(job_id)).state == "queued"
    async with running(stand.worker(embedder=embedder).run()):
        await embedder.reached.wait()
        job = await stand.job(job_id)
        assert (job.state, job.done, job.total) == ("embedding", 0, count)
        embedder.let_go()
        job = await stand.until(job_id, lambda job: job.done > 0)
        assert job.state == "embedding" and job.done in (BATCH, 10)  # two batches are under way at once
        embedder.let_go()
        job = await stand.until(job_id, lambda job: job.state == "succeeded")
    assert job.done == job.total == count
    assert len(await stand.vector_ids()) == count
    assert sorted(embedder.batches) == [10, BATCH]


async def test_what_is_said_twice_is_embedded_once(stand: Stand) -> None:
    section = "# Notice\n\nThe same notice in every chapter.\n\n"
    job_id = await stand.job_of("repeating.md", section * 20)
    await stand.work()
    assert stand.embedder.batches == [1]
    assert (await stand.job(job_id)).done == 20
    assert len(await stand.vector_ids()) == 20


async def test_a_warning_of_the_reader_is_told_by_the_job(stand: Stand) -> None:
    job_id = await stand.job_of("scan.pdf", files.pdf("One\nText of page one.", ""))
    await stand.work()
    job = await stand.job(job_id)
    assert job.state == "succeeded"
    assert job.warnings == ["No text on page 2: nothing was recognised on it either."]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.txt", b" \n", "empty_document"),
        ("secret.pdf", files.pdf("Hidden", password="sesame"), "encrypted"),
        ("cut.docx", files.word()[:2_000], "damaged_document"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_its_reason_and_the_queue_goes_on(
    stand: Stand, name: str, data: bytes, code: str
) -> None:
    bad = await stand.job_of(name, data)
    good = await stand.job_of("good.md", "# Good\n\nText.")
    await stand.work()
    job = await stand.job(bad)
    assert (job.state, job.error_code, job.attempts) == ("failed", code, 1)
    assert job.error_detail is not None and job.error_detail.startswith(f"{name} ")
    assert (await stand.job(good)).state == "succeeded"
    again = await stand.upload(name, data)
    assert again.job is not None  # it is tried again, not taken for unchanged


async def test_a_failed_new_version_leaves_the_old_one_readable(stand: Stand) -> None:
    await stand.upload("plan.txt", "The old plan.")
    await stand.work()
    job_id = await stand.job_of("plan.txt", b"\n")
    await stand.work()
    assert (await stand.job(job_id)).state == "failed"
    assert [item.chunk.text for item in await stand.readable()] == ["The old plan."]
    assert (await stand.upload("plan.txt", "The old plan.")).outcome == "unchanged"
