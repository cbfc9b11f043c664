"""`rag doctor` on a database, an index and a folder that were made to differ."""

import asyncio
import json
import os
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from ingest.housekeeping import clean_up, keep_house
from rag_service.cli import app
from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Embeddings
from rag_service.db.repositories.unused_embeddings import UnusedEmbeddings
from rag_service.doctor.examination import examine
from rag_service.doctor.findings import Finding
from rag_service.knowledge.consistency import Comparison
from rag_service.knowledge.vectors import ChromaIndex, collection_name, successor
from rag_service.settings import Settings
from rag_service.supervisor.chroma import LocalChroma
from rag_service.testing.contracts.vector_index import new_ids
from rag_service.testing.embedder import HashedWords
from tests.conftest import SECRET
from tests.integration.ingestion import WAIT_SECONDS, Stand, handbook, running, stand_on

NOWHERE = Path("/nowhere")
"""Where no api process has a lexical index."""


@pytest.fixture(scope="module")
async def _own_chroma(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalChroma]:
    server = LocalChroma(tmp_path_factory.mktemp("chroma"))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def chroma(_own_chroma: LocalChroma) -> LocalChroma:
    """An empty Chroma server that no other test uses: what it does not know, a repair drops."""
    index = ChromaIndex(_own_chroma.url)
    for name in await index.collections():
        await index.drop(name)
    return _own_chroma


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    """Two documents of twelve chunks in all, ready to be asked."""
    async with stand_on(settings, database) as made:
        await made.upload("long.md", handbook(10))
        await made.upload("short.md", "# A\n\nOne text.\n\n# B\n\nAnother text.")
        await made.work()
        yield made


async def found(stand: Stand, *, repair: bool = False) -> dict[str, Finding]:
    examined = examine(stand.database, stand.vectors, stand.blobs, NOWHERE, repair=repair)
    return {finding.check: finding async for finding in examined}


def name_of(stand: Stand) -> str:
    return collection_name(stand.knowledge_base.id, stand.embedder.fingerprint)


async def test_nothing_differs(stand: Stand) -> None:
    assert await found(stand) == {}


async def test_missing_and_stale_vectors_are_found_and_mended(stand: Stand) -> None:
    ids = sorted(await stand.vector_ids())
    foreign = new_ids(3)
    await stand.vectors.delete(name_of(stand), ids[:4])
    await stand.vectors.upsert(name_of(stand), foreign, await HashedWords().embed_texts(["a", "b", "c"]))
    told = await found(stand)
    assert {(check, one.count, one.mended) for check, one in told.items()} == {
        ("missing_vectors", 4, 0),
        ("stale_vectors", 3, 0),
    }
    assert told["missing_vectors"].examples == [str(id) for id in ids[:4]]
    assert set(told["stale_vectors"].examples) == {str(id) for id in foreign}
    told = await found(stand, repair=True)
    assert [(one.mended, one.left) for one in told.values()] == [(3, 0), (4, 0)]
    assert sorted(await stand.vector_ids()) == ids
    assert stand.embedder.batches == [10, 2]  # nothing was embedded again
    assert await found(stand) == {}


async def test_a_lost_collection_comes_back_from_what_is_stored(stand: Stand) -> None:
    before = await stand.vector_ids()
    await stand.vectors.drop(name_of(stand))
    assert (await found(stand))["missing_vectors"].count == 12
    assert (await found(stand, repair=True))["missing_vectors"].left == 0
    assert await stand.vector_ids() == before
    assert await found(stand) == {}


async def test_wrong_vectors_are_found_though_the_counts_agree(stand: Stand) -> None:
    ids = sorted(await stand.vector_ids())
    vectors = await HashedWords().embed_texts([f"something else {number}" for number in range(len(ids))])
    await stand.vectors.upsert(name_of(stand), ids, vectors)
    told = await found(stand)
    assert set(told) == {"lost_vectors"} and told["lost_vectors"].count == 12
    assert (await found(stand, repair=True))["lost_vectors"].left == 0
    assert await found(stand) == {}


async def test_chunks_that_say_the_same_find_each_other_at_equal_score(stand: Stand) -> None:
    for number in range(15):  # more than are asked for
        await stand.upload(f"copy {number}.md", "The same text everywhere.")
    await stand.work()
    assert await found(stand) == {}


async def test_a_chunk_without_an_embedding_is_told_and_left(stand: Stand) -> None:
    [one, *_] = sorted(await stand.vector_ids())
    await stand.vectors.delete(name_of(stand), [one])
    await stand.sql(
        "DELETE FROM embeddings USING chunks WHERE chunks.content_hash = embeddings.content_hash AND chunks.id = :id",
        id=one,
    )
    told = await found(stand, repair=True)
    assert {(check, finding.left) for check, finding in told.items()} == {
        ("missing_embeddings", 1),
        ("missing_vectors", 1),
    }
    assert "rag-ingest reindex --knowledge-base default" in told["missing_embeddings"].todo


async def test_what_a_job_is_storing_is_neither_missing_nor_stale(stand: Stand) -> None:
    job_id = await stand.job_of("new.md", "# New\n\nNew text.")
    await stand.work()
    # As it is between the vectors' arrival and the commit.
    await stand.sql(
        "UPDATE jobs SET state = 'storing', lease_until = now() + interval '1 hour' WHERE id = :id", id=job_id
    )
    await stand.sql("UPDATE documents SET active_version_id = NULL WHERE name = 'new.md'")
    assert await found(stand) == {}
    await stand.sql("UPDATE jobs SET state = 'failed', lease_until = NULL WHERE id = :id", id=job_id)
    assert (await found(stand))["stale_vectors"].count == 1


async def test_collections_of_nothing_are_dropped_and_others_left(stand: Stand) -> None:
    orphan, other = collection_name(uuid4(), "gone"), "somebody-else-s"
    for name in (orphan, other, successor(name_of(stand))):
        await stand.vectors.upsert(name, new_ids(1), await HashedWords().embed_texts(["a"]))
    told = await found(stand)
    assert set(told) == {"orphan_collection", "unfinished_rebuild"}
    assert told["orphan_collection"].where == orphan
    assert all(one.left == 0 for one in (await found(stand, repair=True)).values())
    assert sorted(await stand.vectors.collections()) == sorted([other, name_of(stand)])
    assert await found(stand) == {}


async def test_a_server_of_another_installation_is_left_alone(stand: Stand, database: Database) -> None:
    await stand.vectors.drop(name_of(stand))
    await stand.sql("UPDATE documents SET active_version_id = NULL")
    theirs = collection_name(uuid4(), "theirs")
    await stand.vectors.upsert(theirs, new_ids(1), await HashedWords().embed_texts(["a"]))
    told = await found(stand, repair=True)
    assert told["orphan_collection"].left == 1
    assert "CHROMA_URL" in told["orphan_collection"].todo
    assert await stand.vectors.collections() == [theirs]


async def test_files_and_rows_that_do_not_belong_together(stand: Stand) -> None:
    [lost, kept] = list(stand.blobs.files())
    lost.unlink()
    old, young, part = (stand.blobs.path(uuid4().hex) for _ in range(3))
    part = part.with_suffix(".part")
    for path in (old, young, part):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    for path in (old, part, kept):
        os.utime(path, (time.time() - 7200,) * 2)
    told = await found(stand)
    assert {(check, one.count) for check, one in told.items()} == {("orphan_blobs", 2), ("missing_blobs", 1)}
    told = await found(stand, repair=True)
    assert (told["orphan_blobs"].left, told["missing_blobs"].left) == (0, 1)
    assert sorted(stand.blobs.files()) == sorted([kept, young])
    assert told["missing_blobs"].examples[0].startswith("default: ")


async def test_embeddings_of_no_chunk_are_found_and_removed_and_young_ones_left(stand: Stand) -> None:
    vectors = await HashedWords().embed_texts(["old", "young"])
    async with stand.database.transaction() as session:
        await Embeddings(session).save(stand.embedder.fingerprint, {"old": vectors[0], "young": vectors[1]})
    await stand.sql(
        "UPDATE embeddings SET created_at = now() - interval '2 hours' WHERE content_hash <> 'young'"
    )
    told = await found(stand)
    assert {(check, one.count, *one.examples) for check, one in told.items()} == {
        ("orphan_embeddings", 1, "old")
    }
    assert (await found(stand, repair=True))["orphan_embeddings"].left == 0
    assert await found(stand) == {}
    assert await stand.sql("SELECT count(*) FROM embeddings WHERE content_hash = 'young'") == 1


async def test_an_embedding_that_is_wanted_again_while_it_is_removed_is_put_back(stand: Stand) -> None:
    model, wanted = stand.embedder.fingerprint, await stand.sql("SELECT min(content_hash) FROM chunks")
    vector = await stand.sql(
        "DELETE FROM embeddings WHERE content_hash = :wanted RETURNING vector", wanted=wanted
    )
    assert "missing_embeddings" in await found(stand)
    async with stand.database.transaction() as session:
        await UnusedEmbeddings(session).put_back({(model, wanted): vector, (model, "unwanted"): vector})
    assert await found(stand) == {}
    assert await stand.sql("SELECT count(*) FROM embeddings") == 12


async def test_a_worker_removes_what_was_left_behind_unless_it_is_most_of_all_there_is(stand: Stand) -> None:
    def leave(number: int) -> None:
        for path in (stand.blobs.path(uuid4().hex) for _ in range(number)):
            path.parent.mkdir(exist_ok=True)
            path.write_text("x")

    ours = list(stand.blobs.files())
    leave(2)
    for path in stand.blobs.files():
        os.utime(path, (time.time() - 7200,) * 2)
    leave(1)
    async with running(keep_house(stand.database, stand.blobs)):
        async with asyncio.timeout(WAIT_SECONDS):
            while len(list(stand.blobs.files())) != 3:  # noqa: ASYNC110 - the worker removes them
                await asyncio.sleep(0.01)
    assert set(ours) < set(stand.blobs.files())  # and the young one
    leave(2)
    for path in stand.blobs.files():
        os.utime(path, (time.time() - 7200,) * 2)
    await clean_up(stand.database, stand.blobs)
    assert len(list(stand.blobs.files())) == 5  # three of them unknown: is it another installation's folder?


async def test_work_that_nobody_does_is_told_and_disappears_with_a_worker(
    stand: Stand, database_url: str
) -> None:
    waiting = await stand.job_of("late.md", "late")
    await stand.sql("UPDATE documents SET deleted_at = now() - interval '1 hour' WHERE name = 'short.md'")
    told = await found(stand)
    assert set(told) == {"waiting_jobs", "unerased_documents"}
    assert told["waiting_jobs"].examples == [str(waiting)]
    assert "rag-ingest worker" in told["waiting_jobs"].todo

    worker = Database(database_url, pool=1, application="rag-worker")
    await worker.ping()
    assert set(await found(stand)) == {"unerased_documents"}
    await worker.close()
    await stand.sql(
        "UPDATE jobs SET state = 'embedding', lease_until = now() - interval '1 hour' WHERE id = :id",
        id=waiting,
    )
    assert set(await found(stand)) == {"abandoned_jobs", "unerased_documents"}

    await stand.work()
    while await stand.worker().erase_one():
        pass
    assert await found(stand) == {}


async def test_servers_that_do_not_answer_and_another_schema_are_findings(
    stand: Stand, tmp_path: Path
) -> None:
    nowhere = ChromaIndex("http://127.0.0.1:9")
    examined = [one async for one in examine(stand.database, nowhere, stand.blobs, NOWHERE)]
    assert [one.check for one in examined] == ["vector_index"]
    await stand.sql("UPDATE alembic_version SET version_num = '9999'")
    assert set(await found(stand)) == {"schema"}
    gone = Database("postgresql://nobody@127.0.0.1:9/none")
    examined = [one async for one in examine(gone, stand.vectors, stand.blobs, NOWHERE)]
    assert [one.check for one in examined] == ["database"]
    await gone.close()


def sections_of_their_own(count: int) -> str:
    """A document of so many chunks, none of which is near another."""
    chance = random.Random(3)
    said = (" ".join(f"word{chance.randrange(5000)}" for _ in range(8)) for _ in range(count))
    return "\n\n".join(f"# {words[:9]}\n\n{words}" for words in said)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)


def _garble(folder: Path) -> None:
    """The vectors themselves, as a failing disk would."""
    for path in folder.glob("*/data_level0.bin"):
        path.write_bytes(bytes(path.stat().st_size))


def _truncate(folder: Path) -> None:
    paths = list(folder.glob("*/*.bin"))
    assert paths, "so few vectors are not written yet"
    for path in paths:
        path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "check"),
    [(_empty, "missing_vectors"), (_truncate, "lost_vectors"), (_garble, "lost_vectors")],
)
async def test_what_is_lost_of_the_indexs_own_files_is_found_and_mended(
    settings: Settings, database: Database, tmp_path: Path, spoil: Callable[[Path], None], check: str
) -> None:
    own = LocalChroma(tmp_path)
    await own.start()
    try:
        async with stand_on(settings.model_copy(update={"chroma_url": own.url}), database) as stand:
            await stand.upload(
                "long.md", sections_of_their_own(1200)
            )  # more than it keeps without such files
            await stand.work()
            ids = await stand.vector_ids()
            assert len(ids) == 1200 and await found(stand) == {}
            await own.stop()
            spoil(tmp_path / "chroma")
            await own.start()
            assert set(await found(stand)) == {check}
            assert [one.left for one in (await found(stand, repair=True)).values()] == [0]
            assert await found(stand) == {}
            assert await stand.vector_ids() == ids
    finally:
        await own.stop()


async def test_pages_are_crossed_without_loss(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_service.knowledge.consistency.PAGE", 5)
    comparison = Comparison(
        stand.database, stand.vectors, stand.knowledge_base.id, stand.embedder.fingerprint
    )
    foreign = new_ids(8)
    await stand.vectors.upsert(name_of(stand), foreign, await HashedWords().embed_texts(["a"] * 8))
    ids = sorted(await stand.vector_ids() - set(foreign))
    await stand.vectors.delete(name_of(stand), ids[::2])
    looked_at: list[int] = []
    stale = await comparison.stale(mend=True, seen=looked_at.append)
    missing = await comparison.missing(mend=True, seen=looked_at.append)
    assert (stale.count, missing.count, sum(looked_at)) == (8, 6, 14 + 12)
    assert sorted(await stand.vector_ids()) == ids


def test_the_command_ends_with_its_verdict(settings: Settings, stand: Stand) -> None:
    assert settings.database_url and settings.chroma_url
    environment = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "CHROMA_URL": settings.chroma_url,
        "RAG_SECRET_KEY": SECRET,
        "RAG_STATE_DIR": str(settings.state_dir),
        "COLUMNS": "200",
    }
    good = CliRunner().invoke(app, ["doctor"], env=environment)
    assert good.exit_code == 0, good.output
    assert "Nothing differs" in good.stdout
    orphan = stand.blobs.path(uuid4().hex)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_text("x")
    os.utime(orphan, (time.time() - 7200,) * 2)
    bad = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
    assert bad.exit_code == 1
    said = json.loads(bad.stdout)
    assert said["ok"] is False
    assert [(one["check"], one["left"], one["examples"]) for one in said["findings"]] == [
        ("orphan_blobs", 1, [orphan.name])
    ]
    table = CliRunner().invoke(app, ["doctor"], env=environment)
    assert "--repair" in table.stdout
    mended = CliRunner().invoke(app, ["doctor", "--repair"], env=environment)
    assert (mended.exit_code, orphan.exists()) == (0, False)
