"""The sample knowledge base answers the questions that were written for it."""

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_service.knowledge.embeddings import Embedder
from tests.conftest import Serve, Server

DATA = Path(__file__).parents[2] / "data"
QUESTIONS: list[dict[str, str]] = yaml.safe_load((DATA / "sources" / "questions.yaml").read_text())[
    "questions"
]


@pytest.fixture(scope="module")
def documents() -> list[Path]:
    return sorted(path for path in (DATA / "sample_kb").iterdir() if path.is_file())


@pytest.fixture
async def sampled(serve: Serve, real_embedder: Embedder, documents: list[Path]) -> AsyncIterator[Server]:
    async with serve(embedder=real_embedder, refusal_score=0.3) as server:
        await server.upload(*((path.name, path.read_bytes()) for path in documents))
        yield server


async def test_every_document_is_read_and_answers_a_question_with_a_citation_of_it(
    sampled: Server, documents: list[Path]
) -> None:
    assert len(documents) >= 15
    assert len({path.suffix for path in documents}) >= 6
    jobs = (await sampled.http.get("/api/v1/jobs?limit=200")).json()["items"]
    assert {job["filename"]: job["state"] for job in jobs} == {path.name: "succeeded" for path in documents}

    cited: dict[str, list[bool]] = defaultdict(list)
    answered: list[bool] = []
    for case in QUESTIONS:
        turn = await _ask(sampled, case["question"])
        names = {source["number"]: source["filename"] for source in turn["sources"]}
        cited[case["document"]].append(
            case["document"] in {names[one["number"]] for one in turn["citations"]}
        )
        if case["language"] == "en":
            quotes = " ".join(" ".join(citation["quote"].split()) for citation in turn["citations"])
            answered.append(case["answer_contains"].lower() in quotes.lower())
    assert set(cited) == {path.name for path in documents}
    assert [name for name, found in cited.items() if not any(found)] == []
    hits = [found for cases in cited.values() for found in cases]
    # All cite the right document and 80 % hold the exact answer as this is written; a slip shows here.
    assert sum(hits) / len(hits) >= 0.95
    assert sum(answered) / len(answered) >= 0.72


async def _ask(server: Server, question: str) -> dict[str, Any]:
    answer = await server.http.post("/api/v1/chat", json={"message": question, "stream": False})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
