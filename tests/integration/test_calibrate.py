"""`rag-ingest calibrate`: a knowledge base's refusal score from its own documents."""

from collections.abc import AsyncIterator

import pytest

from ingest.commands.calibrate import judge_of, sentences
from rag_service.db.engine import Database
from rag_service.knowledge.calibration import find_score
from rag_service.knowledge.retriever import Retriever
from rag_service.settings import Settings
from tests.integration.commands import Command
from tests.integration.ingestion import Stand, stand_on

THINGS = ("telescope", "tripod", "mirror", "lens", "dome", "camera", "filter", "mount", "finder", "eyepiece")


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


async def test_a_score_is_found_that_answers_its_own_questions_and_refuses_others(
    stand: Stand, settings: Settings
) -> None:
    text = "\n\n".join(
        f"# The {thing}\n\n"
        + " ".join(
            f"The {thing} of hall {hall} was cleaned in week {hall + 10} by the technician of the northern station."
            for hall in range(1, 6)
        )
        for thing in THINGS
    )
    await stand.upload("halls.md", text)
    await stand.work()
    base, own, others = await sentences(settings, stand.database, "default")
    assert len(own) == 50
    assert others  # of the sample documents: there is nothing else here
    retriever = Retriever(stand.database, stand.vectors, stand.embedder)
    asked: list[None] = []
    judge = judge_of(base, retriever, stand.embedder, 8, lambda: asked.append(None))
    found = await find_score(own, others, judge, questions=20)
    assert len(asked) == found.covered + found.uncovered == 40
    assert found.false_refusals <= 0.1
    assert found.refusals is not None and found.refusals >= 0.8


async def test_what_is_too_small_is_refused_with_a_sentence(stand: Stand, command: Command) -> None:
    await stand.upload("a.md", "One sentence of more than eight words stands in this document alone.")
    await stand.work()
    said = await command("calibrate")
    assert said.code == 2
    assert "has 1 usable sentences, and 40 are needed to find a refusal score" in said.err
    assert await stand.sql("SELECT refusal_score FROM knowledge_bases") is None
