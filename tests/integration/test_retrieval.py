"""Retrieval by vectors and words at once, on real PostgreSQL, Chroma and tantivy."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rag_service.db.engine import Database
from rag_service.db.repositories.filters import Filters
from rag_service.errors import EmbedderUnavailable, VectorIndexUnavailable
from rag_service.knowledge import searching, sides
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.lexical import TantivyIndex
from rag_service.knowledge.lexical_follower import LexicalFollower
from rag_service.knowledge.retriever import Retrieval, Retriever
from rag_service.knowledge.vectors import VectorIndex
from rag_service.settings import Settings
from rag_service.testing.embedder import HashedWords
from rag_service.testing.exact_index import ExactIndex
from tests.integration.ingestion import Stand, stand_on


class AwayEmbedder(HashedWords):
    async def embed_question(self, text: str) -> Vectors:
        raise EmbedderUnavailable("It is away.")


class LateIndex(ExactIndex):
    async def search(self, *_: Any, **__: Any) -> Any:
        await asyncio.sleep(60)


class AwayIndex(ExactIndex):
    def __init__(self) -> None:
        super().__init__()
        self.available = False


@dataclass
class Found:
    stand: Stand
    lexical: TantivyIndex

    async def upload(self, **texts: str) -> None:
        for name, text in texts.items():
            await self.stand.upload(f"{name}.md", text)
        await self.stand.work()
        follower = LexicalFollower(self.stand.database, self.lexical)
        while await follower.round():
            pass

    async def ask(
        self,
        question: str,
        *,
        limit: int = 5,
        embedder: HashedWords | None = None,
        vectors: VectorIndex | None = None,
        lexical: bool = True,
        filters: Sequence[UUID] = (),
        history: Sequence[str] = (),
    ) -> Retrieval:
        retriever = Retriever(
            self.stand.database,
            vectors or self.stand.vectors,
            embedder or self.stand.embedder,
            self.lexical if lexical else None,
        )
        return await retriever.retrieve(
            question,
            self.stand.knowledge_base.id,
            limit=limit,
            filters=Filters(document_ids=filters),
            history=history,
        )


@pytest.fixture
async def found(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[Found]:
    async with stand_on(settings, database) as stand:
        lexical = TantivyIndex(tmp_path / "lexical")
        yield Found(stand, lexical)
        await lexical.close()


def names(found: Retrieval) -> list[str]:
    return [hit.source.filename.removesuffix(".md") for hit in found.hits]


async def test_both_sides_find_and_either_stands_in_for_the_other(found: Found) -> None:
    await found.upload(
        moon="The moon is made of cheese.", sun="The sun is a star.", printer="Error ERR-4012: no paper."
    )
    question = "What does ERR-4012 mean?"
    hits = (await found.ask(question)).hits
    assert hits[0].source.filename == "printer.md"
    trace = hits[0].found
    assert (trace.dense_rank, trace.lexical_rank) == (1, 1)
    assert hits[-1].found.lexical is None

    assert names(await found.ask(question, lexical=False))[0] == "printer"
    for away in ({"embedder": AwayEmbedder()}, {"vectors": AwayIndex()}):
        alone = await found.ask(question, **away)
        assert names(alone) == ["printer"]
        assert alone.hits[0].found.fused > 0
        with pytest.raises((EmbedderUnavailable, VectorIndexUnavailable)):
            await found.ask("Zyzzyva", **away)


async def test_an_index_that_stands_still_holds_no_question_up(found: Found) -> None:
    await found.upload(moon="The moon is made of cheese.", printer="Error ERR-4012: no paper.")
    async with asyncio.timeout(10):
        late = await found.ask("What does ERR-4012 mean?", vectors=LateIndex())
    assert names(late) == ["printer"]
    assert late.hits[0].found.dense is not None  # by the vector that PostgreSQL keeps


async def test_a_flood_of_the_same_is_folded_and_one_document_leaves_room(found: Found) -> None:
    sections = "\n\n".join(
        f"# Part {n}\n\nThe moon rises over hill {n}{' at night' * n}." for n in range(1, 8)
    )
    await found.upload(
        one="The moon is made of cheese, as everybody knows who has tasted it.",
        copy="The moon is made of cheese, as everybody knows who has tasted it!",
        long=sections,
    )
    retrieval = await found.ask("the moon rises over hill", limit=5)
    assert names(retrieval).count("long") == 4
    assert len(retrieval.hits) == 5
    reasons = {hit.left_out for hit in retrieval.left_out}
    assert reasons == {"folded", "cut"}
    [folded] = [hit for hit in retrieval.left_out if hit.left_out == "folded"]
    assert folded.like in {hit.source.chunk.id for hit in retrieval.hits}

    [document] = {hit.source.document_id for hit in retrieval.hits if hit.source.filename == "long.md"}
    assert names(await found.ask("the moon", limit=5, filters=[document])) == ["long"] * 5


@pytest.mark.parametrize(
    "sizes",
    [
        {},  # compared one by one
        {"FEW_DOCUMENTS": 0},  # only where too few of all pass
        {"FEW": 0},  # the words find in named documents
        {"NAMED": 1},  # more documents than are named
        {"NAMED": 1, "WIDE": 10},  # and too few of what is found widely pass
    ],
)
async def test_filters_find_what_is_far_down_however_much_they_leave(
    found: Found, monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int]
) -> None:
    for name, size in sizes.items():
        for module in (sides, searching):
            monkeypatch.setattr(module, name, size, raising=False)
    lamps = {
        "red": "A red lamp near the moon burns at dusk.",
        "blue": "Over the sea a blue lamp is lit, then put out.",
        "old": "An old lamp hangs on the wall of the hill house, unlit for years.",
    }
    await found.upload(**{f"moon{n}": f"The moon rises over hill {n}." for n in range(60)}, **lamps)
    everything = await found.stand.sql("SELECT array_agg(id) FROM documents WHERE name !~ '^moon'")
    retrieval = await found.ask("the moon rises over hill", limit=3, filters=everything)
    assert sorted(names(retrieval)) == sorted(lamps)
    assert all(hit.found.lexical for hit in retrieval.hits)


async def test_questions_before_help_one_that_does_not_stand_alone(found: Found) -> None:
    await found.upload(
        throat="Throat cancer: it is treated by surgery.",
        wood="Wood: it is treated with oil, and it is treated with wax.",
    )
    asked = "How is it treated?"
    assert names(await found.ask(asked, limit=1)) == ["wood"]
    assert names(await found.ask(asked, limit=1, history=["What is throat cancer?"])) == ["throat"]


async def test_a_hundred_copies_of_one_document_do_not_crowd_the_others_out(found: Found) -> None:
    copies = dict.fromkeys((f"copy{number}" for number in range(100)), "The moon is made of cheese.")
    others = {"rocks": "Rocks of the moon are basalt.", "orbit": "The moon needs 27 days."}
    await found.upload(**copies, **others, sun="The sun is a star.")
    documents = {hit.source.filename: hit.source.document_id for hit in (await found.ask("moon")).all}
    assert len(documents) > len(copies)
    for options in ({}, {"lexical": False}, {"filters": list(documents.values())}):
        hits = names(await found.ask("What is the moon made of?", limit=3, **options))
        assert len(hits) == 3 and others.keys() < set(hits), options
