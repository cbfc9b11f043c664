"""Vectors made anew: from what is stored, or with another model; questions are answered all the while."""

from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text

from ingest.reindexing import BATCH, Outcome, Reindexing
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.consistency import Consistency
from rag_service.errors import Conflict, EmbedderUnavailable, EmbeddingModelMismatch
from rag_service.knowledge.consistency import Comparison, unseen
from rag_service.knowledge.embeddings import Embedder, Vectors
from rag_service.knowledge.rebuild import rebuilding
from rag_service.knowledge.retriever import Retriever
from rag_service.knowledge.vectors import collection_name, successor
from rag_service.settings import Settings
from rag_service.testing.contracts.vector_index import new_ids
from rag_service.testing.embedder import HashedWords
from rag_service.testing.model_server import ModelServer
from tests.api.support import check_problem, stream
from tests.conftest import Serve
from tests.integration.commands import Command
from tests.integration.ingestion import HeldEmbedder, Stand, handbook, running, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    """One document of ten chunks."""
    async with stand_on(settings, database) as made:
        await made.upload("long.md", handbook(10))
        await made.work()
        yield made


async def reindex(stand: Stand, embedder: Embedder) -> Outcome:
    return await Reindexing(stand.database, stand.vectors, embedder, lambda *_: unseen).run(await base(stand))


async def base(stand: Stand) -> KnowledgeBase:
    async with stand.database.transaction() as session:
        found = await Consistency(session).models(stand.knowledge_base.id)
    assert found is not None
    return found


async def texts_found(stand: Stand, embedder: Embedder) -> list[str]:
    retriever = Retriever(stand.database, stand.vectors, embedder)
    found = await retriever.retrieve("text of section number 4", stand.knowledge_base.id, limit=50)
    return sorted(hit.source.chunk.text for hit in found.hits)


async def test_a_collection_is_rebuilt_from_what_is_stored_while_it_answers(stand: Stand) -> None:
    name = collection_name(stand.knowledge_base.id, stand.embedder.fingerprint)
    before, texts = await stand.vector_ids(), await texts_found(stand, HashedWords())
    await stand.vectors.upsert(name, new_ids(5), await HashedWords().embed_texts(["stale"] * 5))
    answers: list[list[str]] = []

    async def keep_asking() -> None:
        while True:
            answers.append(await texts_found(stand, HashedWords()))

    fresh = HashedWords()
    async with running(keep_asking()):
        for _ in range(3):
            assert await reindex(stand, fresh) == "rebuilt"
    assert await stand.vector_ids() == before
    assert fresh.batches == []
    assert len(answers) > 3
    assert [answer for answer in answers if answer != texts] == []
    assert successor(name) not in await stand.vectors.collections()


async def test_an_empty_knowledge_base_is_rebuilt_too(settings: Settings, database: Database) -> None:
    async with stand_on(settings, database) as stand:
        assert await reindex(stand, HashedWords()) == "rebuilt"
        await stand.upload("a.md", "text")
        await stand.work()
        assert len(await texts_found(stand, HashedWords())) == 1


async def test_a_rebuild_cut_short_goes_on_and_what_came_meanwhile_is_there(stand: Stand) -> None:
    model = stand.embedder.fingerprint
    name = collection_name(stand.knowledge_base.id, model)
    half = sorted(await stand.vector_ids())[:5]
    await Comparison(
        stand.database, stand.vectors, stand.knowledge_base.id, model, collection=successor(name)
    ).missing(mend=True)
    await stand.vectors.delete(successor(name), half)
    await stand.vectors.drop(name)  # killed right before the change of names
    await stand.upload("new.md", "New text.")
    await stand.work()
    assert await reindex(stand, HashedWords()) == "rebuilt"
    assert len(await stand.vector_ids()) == 11
    assert len(await texts_found(stand, HashedWords())) == 11


async def test_only_one_process_reindexes_at_a_time(stand: Stand) -> None:
    async with rebuilding(stand.database, stand.knowledge_base.id):
        with pytest.raises(Conflict, match="another process"):
            await reindex(stand, HashedWords())
    assert await reindex(stand, HashedWords()) == "rebuilt"


class FailingWords(HashedWords):
    """Hashed words that fail at a certain batch, as a process that is killed there."""

    def __init__(self, dimensions: int, *, at: int) -> None:
        super().__init__(dimensions)
        self._at = at

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        if len(self.batches) == self._at:
            raise EmbedderUnavailable("gone")
        return await super().embed_texts(texts)


async def test_another_model_takes_over_while_the_old_one_answers(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.reindexing.BATCH", 4)
    old, new, third = HashedWords(), HashedWords(128), HashedWords(64)
    texts = await texts_found(stand, old)
    with pytest.raises(EmbeddingModelMismatch, match="rag-ingest reindex --knowledge-base default"):
        await texts_found(stand, new)
    new.batches.clear()  # the question's own
    with pytest.raises(EmbedderUnavailable):
        await reindex(stand, FailingWords(128, at=1))
    assert (await base(stand)).embedding_model == old.fingerprint
    assert await texts_found(stand, old) == texts

    assert await reindex(stand, new) == "changed over"
    assert new.batches == [4, 2]  # of ten, four were there
    changed = await base(stand)
    assert (changed.embedding_model, changed.previous_embedding_model) == (new.fingerprint, old.fingerprint)
    assert await texts_found(stand, new) == texts
    assert await texts_found(stand, old) == texts
    with pytest.raises(EmbeddingModelMismatch):
        await texts_found(stand, third)

    assert await reindex(stand, new) == "rebuilt"
    assert (await base(stand)).previous_embedding_model is None
    assert await stand.vector_ids(old.fingerprint) == set()
    assert await stand.sql("SELECT array_agg(DISTINCT model) FROM embeddings") == [new.fingerprint]
    with pytest.raises(EmbeddingModelMismatch):
        await texts_found(stand, old)
    assert await texts_found(stand, new) == texts


async def test_back_and_forth_leaves_no_collection_behind(stand: Stand) -> None:
    first, second, third = HashedWords(), HashedWords(128), HashedWords(64)
    for embedder in (second, first, third):
        assert await reindex(stand, embedder) == "changed over"
    assert first.batches == []  # its embeddings were kept
    assert (
        len(await stand.vector_ids(first.fingerprint)) == len(await stand.vector_ids(third.fingerprint)) == 10
    )
    assert await stand.vector_ids(second.fingerprint) == set()


class UploadingWords(HashedWords):
    """Hashed words during whose first batch another document is ingested with the old model."""

    def __init__(self, stand: Stand) -> None:
        super().__init__(128)
        self._stand = stand

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        vectors = await super().embed_texts(texts)
        if len(self.batches) == 1:
            await self._stand.upload("late.md", "Late text.")
            await self._stand.work()
        return vectors


async def test_what_is_ingested_during_a_change_over_is_part_of_it(stand: Stand) -> None:
    new = UploadingWords(stand)
    assert await reindex(stand, new) == "changed over"
    assert new.batches == [10, 1]
    assert len(await texts_found(stand, new)) == 11


async def test_a_job_of_the_old_model_s_worker_cannot_end_behind_a_change_over(stand: Stand) -> None:
    held, new = HeldEmbedder(), HashedWords(128)
    job_id = await stand.job_of("late.md", "Late text.")
    async with running(stand.worker(embedder=held).run()):
        await held.reached.wait()
        assert await reindex(stand, new) == "changed over"
        held.let_go()
        job = await stand.until(job_id, lambda job: job.state == "queued")
    assert (job.error_code, job.attempts) == ("embedding_model_mismatch", 0)
    assert job.error_detail is not None and "rag-ingest reindex --knowledge-base default" in job.error_detail
    await stand.sql("UPDATE jobs SET not_before = now()")
    await stand.work(stand.worker(embedder=new))
    assert (await stand.job(job_id)).state == "succeeded"
    assert len(await texts_found(stand, new)) == 11


async def test_over_http_a_mismatch_is_told_with_the_way_out(stand: Stand, serve: Serve) -> None:
    async with serve(embedder=HashedWords(64)) as server:
        searched = await server.http.post("/api/v1/search", json={"query": "text"})
        uploaded = await server.http.post(
            "/api/v1/knowledge-bases/default/documents", files=[("files", ("b.md", b"text"))]
        )
        for answer in (searched, uploaded):
            problem = check_problem(answer, 503, "embedding_model_mismatch")
            assert "rag-ingest reindex --knowledge-base default" in problem["detail"]
            assert "retry-after" not in answer.headers
        turn = await stream(server.http, "What is the text of section 4?")
        assert turn.end.name == "error"
        assert (turn.end.data["code"], turn.end.data["retryable"]) == ("embedding_model_mismatch", False)
    assert await stand.sql("SELECT count(*) FROM documents") == 1


async def test_the_command_changes_over_to_the_model_that_is_configured(
    stand: Stand, command: Command, model_server: ModelServer
) -> None:
    command.environment |= {
        "RAG_EMBEDDING_MODEL": "openai:fake-embedding",
        "OPENAI_BASE_URL": model_server.base_url,
    }
    said = await command("reindex", "--all")
    assert said.code == 0, said.err
    assert said.row("default")[1:3] == ["changed over", "10"]
    model = (await base(stand)).embedding_model
    assert model.startswith("openai:fake-embedding@")
    assert await stand.vector_ids(model) == await stand.vector_ids()


async def run_until_it_waits_with_the_second_batch(stand: Stand, command: Command, model: str) -> None:
    """Reindex in a process of its own, and kill it when it has saved one batch of embeddings and has the next."""
    await stand.sql(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF (SELECT count(*) FROM embeddings WHERE model = TG_ARGV[0]) = TG_ARGV[1]::int THEN "
        "PERFORM pg_advisory_xact_lock(7); END IF; RETURN NULL; END $$"
    )
    await stand.sql(
        f"CREATE TRIGGER hold BEFORE INSERT ON embeddings EXECUTE FUNCTION hold('{model}', {BATCH})"
    )
    async with stand.database.transaction() as holding:
        await holding.execute(text("SELECT pg_advisory_xact_lock(7)"))
        process = await command.started("reindex")
        try:
            await stand.until_it_says(
                1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
            )
        finally:
            process.kill()
            await process.wait()
    await stand.sql("DROP TRIGGER hold ON embeddings")


async def test_a_change_over_that_is_killed_leaves_all_usable_and_goes_on_where_it_was(
    stand: Stand, command: Command, model_server: ModelServer
) -> None:
    await stand.upload("longer.md", handbook(2 * BATCH).replace("Old", "Older"))
    await stand.work()
    command.environment |= {
        "RAG_EMBEDDING_MODEL": "openai:fake-embedding",
        "OPENAI_BASE_URL": model_server.base_url,
    }
    old, new = stand.embedder.fingerprint, f"openai:fake-embedding@{model_server.dimensions}"
    texts = await texts_found(stand, HashedWords())
    await run_until_it_waits_with_the_second_batch(stand, command, new)

    assert (await base(stand)).embedding_model == old
    assert await texts_found(stand, HashedWords()) == texts
    await stand.upload("meanwhile.md", "Text that came meanwhile.")
    await stand.work()
    assert await stand.sql("SELECT count(*) FROM embeddings WHERE model = :new", new=new) == BATCH

    model_server.reset()
    said = await command("reindex")
    assert said.code == 0, said.err
    total = 2 * BATCH + 10 + 1
    assert said.row("default")[1:3] == ["changed over", str(total)]
    asked = [request.json["input"] for request in model_server.requests]
    assert sum(len(part) for part in asked if part not in ("size", ["size"])) == total - BATCH
    assert (await base(stand)).embedding_model == new
    assert len(await stand.vector_ids(new)) == total
