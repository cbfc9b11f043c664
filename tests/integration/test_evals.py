"""Suites on the real app: measured over HTTP and in process, a target that dies, and a retriever that was broken."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from evals.compare import compare, judge
from evals.conditions import parse
from evals.errors import EvalError
from evals.provenance import Target
from evals.results import CaseResult, load
from evals.runner import INTERRUPTED, NOT_ASKED, Plan, run_suite
from evals.serving import in_process
from evals.suite import Suite
from evals.suite_files import load_suite
from rag_service.settings import Settings
from rag_service.testing.embedder import HashedWords
from rag_service.testing.model_server import ModelServer
from tests.conftest import Serve, Server
from tests.unit.evals.wire import wired

CATS = "# Cats\n\nA cat sleeps sixteen hours a day.\n\n# Feeding\n\nFeed a cat twice a day.\n"
PRICES = "animal,price\ncat,forty taka\ndog,sixty taka\n"
BANGLA = "# বিড়াল\n\nবিড়াল দিনে ষোলো ঘণ্টা ঘুমায়।\n"

SUITE = """\
name: pets
cases:
  - id: sleep
    question: How many hours a day does a cat sleep?
    language: en
    relevant: [{file: cats.md, quote: sleeps sixteen hours}]
    answers: [sixteen hours]
  - id: price
    question: What is the price of a dog?
    language: en
    tags: [table]
    relevant: [{file: prices.csv, quote: sixty taka}]
    answers: [sixty taka]
  - id: after
    history: ["How many hours a day does a cat sleep?"]
    question: And how often do I feed it?
    language: en
    tags: [follow-up]
    relevant: [{file: cats.md, quote: Feed a cat twice a day}]
    answers: [twice a day]
  - id: ghum
    question: বিড়াল দিনে কত ঘণ্টা ঘুমায়?
    language: bn
    relevant: [bn.md]
    answers: [ষোলো ঘণ্টা]
  - id: none
    question: Who invented quaternions?
    language: en
    refuse: true
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    path = tmp_path / "pets.yaml"
    path.write_text(SUITE)
    return load_suite(path)


async def uploaded(server: Server) -> Target:
    await server.upload(("cats.md", CATS), ("prices.csv", PRICES), ("bn.md", BANGLA))
    return target_of(server)


def target_of(server: Server, url: str | None = None) -> Target:
    return Target(url or server.url, server.http.headers["authorization"].removeprefix("Bearer "))


async def test_five_cases_over_http(server: Server, suite: Suite, tmp_path: Path) -> None:
    target = await uploaded(server)
    seen: list[CaseResult] = []
    results = await run_suite(suite, target, tmp_path / "out.jsonl", report=seen.append)

    assert [case.id for case in results.cases] == ["sleep", "price", "after", "ghum", "none"]
    assert {case.id for case in seen} == {case.id for case in results.cases}
    assert not results.failed
    for case in results.cases[:4]:
        assert case.metrics["contains_answer"] == 1, (case.id, case.answer)
        assert case.metrics["recall@5"] == case.metrics["cites_relevant"] == 1
        assert case.metrics["citation_validity"] == case.metrics["quote_verbatim"] == 1
        assert 0 < case.timings["first_token_ms"] <= case.timings["total_ms"]
        assert case.sources[0].score > 0
    none = results.by_id()["none"]
    assert (none.refused, none.metrics["refusal_recall"], none.sources) == (True, 1, [])

    header = results.header
    assert (header.suite, header.suite_sha256, header.models) == ("pets", suite.sha256, ["extractive"])
    assert (header.embedding, header.documents) == ({"default": "hashed-words@256"}, {"default": 3})
    assert header.version
    assert (header.target, header.settings) == (server.url, None)
    first = json.loads((tmp_path / "out.jsonl").read_text().split("\n")[0])
    assert first["kind"] == "rag-eval results"
    assert load(tmp_path / "out.jsonl").cases == list(results.cases)


async def test_prompts_of_a_model_are_in_the_header(
    serve: Serve, suite: Suite, tmp_path: Path, model_server: ModelServer
) -> None:
    async with serve(chat_model="openai:test", openai_base_url=model_server.base_url) as server:
        target = await uploaded(server)
        results = await run_suite(suite, target, tmp_path / "out.jsonl", plan=Plan(limit=3))
    assert len(results.cases) == 3
    assert {prompt["name"] for prompt in results.header.prompts} == {"answer", "question", "condense"}
    assert all(prompt["sha256"] for prompt in results.header.prompts)


async def test_in_process_against_the_databases_of_the_settings(
    server: Server, settings: Settings, suite: Suite, tmp_path: Path
) -> None:
    await uploaded(server)

    async with in_process(settings, load=lambda _: HashedWords()) as target:
        assert target.url != server.url
        results = await run_suite(suite, target, tmp_path / "out.jsonl")
    assert not results.failed
    assert results.header.settings is not None
    assert results.header.settings["refusal_score"] == 0.03
    assert results.header.target == "started by rag-eval"


async def test_a_target_that_dies_in_mid_run(server: Server, suite: Suite, tmp_path: Path) -> None:
    await uploaded(server)
    output = tmp_path / "out.jsonl"
    async with wired(server.url) as (url, wire):
        count = 0

        def cut_behind_the_second(_: CaseResult) -> None:
            nonlocal count
            count += 1
            if count == 2:
                assert len(output.read_text().splitlines()) == 3  # kept as soon as it is there
                wire.cut()

        results = await run_suite(
            suite, target_of(server, url), output, plan=Plan(concurrency=1), report=cut_behind_the_second
        )
    errors = [case.error for case in results.cases]
    assert errors[:2] == [None, None]
    assert errors[2] == f"The server at {url} does not answer. Is `rag serve` running?"
    assert errors[3:] == [NOT_ASKED, NOT_ASKED]
    assert load(output).cases == list(results.cases)


async def test_a_run_that_is_interrupted_keeps_what_it_has(
    server: Server, suite: Suite, tmp_path: Path
) -> None:
    target = await uploaded(server)
    output = tmp_path / "out.jsonl"
    first = asyncio.Event()
    running = asyncio.create_task(
        run_suite(suite, target, output, plan=Plan(concurrency=1), report=lambda _: first.set())
    )
    await first.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    errors = [case.error for case in load(output).cases]
    assert errors[0] is None
    assert errors[-1] == INTERRUPTED


async def test_a_target_that_cannot_be_asked_leaves_no_file(
    server: Server, suite: Suite, tmp_path: Path
) -> None:
    for target, said in (
        (Target(server.url, "rag_chat_wrong"), "refused /api/v1/knowledge-bases: Send an API key"),
        (Target("http://127.0.0.1:9", "key"), "does not answer: is it running?"),
    ):
        with pytest.raises(EvalError) as caught:
            await run_suite(suite, target, tmp_path / "out.jsonl")
        assert said in caught.value.detail
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text('{"id":"a","question":"Q?","language":"en","refuse":true,"knowledge_base":"none"}\n')
    with pytest.raises(EvalError, match="has no knowledge base 'none', which the suite asks; it has default"):
        await run_suite(load_suite(elsewhere), target_of(server), tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


async def test_a_broken_retriever_is_caught(serve: Serve, tmp_path: Path) -> None:
    """One source in place of eight, and a refusal score that is far off: both are real falls, and fail."""
    suite = _two_passages_each(tmp_path, 16)
    files = [
        (f"k{n}.md", f"# Use\n\nThe gadget k{n} is for slicing.\n\n# Care\n\nWash the gadget k{n} by hand.\n")
        for n in range(16)
    ]
    runs = {}
    for name, changes in (
        ("good", {}),
        ("one", {"retrieve_chunks": 1}),
        ("refusing", {"refusal_score": 1.0}),
    ):
        async with serve(**changes) as server:
            if name == "good":
                await server.upload(*files)
            runs[name] = await run_suite(suite, target_of(server), tmp_path / f"{name}.jsonl")
    watched = [parse("recall@5 < -0.02"), parse("cites_relevant < -0.02")]
    assert not judge(compare(runs["good"], runs["good"]), watched).failed
    (broken,) = judge(compare(runs["good"], runs["one"]), watched).failures
    assert broken.startswith("recall@5 < -0.02: recall@5 went from 100.0 % to 50.0 %")
    assert len(judge(compare(runs["good"], runs["refusing"]), watched).failures) == 2


def _two_passages_each(folder: Path, count: int) -> Suite:
    lines = [
        {
            "id": f"k{n}",
            "question": f"gadget k{n}?",
            "language": "en",
            "relevant": [
                {"file": f"k{n}.md", "quote": f"The gadget k{n} is for slicing."},
                {"file": f"k{n}.md", "quote": f"Wash the gadget k{n} by hand."},
            ],
        }
        for n in range(count)
    ]
    path = folder / "gadgets.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return load_suite(path)
