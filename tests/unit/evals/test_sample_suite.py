"""The committed suite: what it expects stands in the documents, word for word."""

from pathlib import Path

import pytest

from evals.results import load
from evals.suite import Case, one_line
from evals.suite_files import load_suite
from ingest.extract import extract

ROOT = Path(__file__).parents[3]
SUITE = load_suite(ROOT / "evals" / "suites" / "sample.yaml")
ANSWERABLE = [case for case in SUITE.cases if not case.refuse]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text of each sample document as the service reads it, on one line."""
    folder = ROOT / "data" / "sample_kb"
    return {path.name: one_line(extract(path, path.name).text) for path in folder.iterdir() if path.is_file()}


def tagged(tag: str) -> list[Case]:
    return [case for case in SUITE.cases if tag in case.tags]


def test_it_has_sixty_questions_of_every_kind() -> None:
    assert len(SUITE.cases) == 60
    assert sum(case.language == "bn" for case in SUITE.cases) >= 12
    assert len(tagged("table")) >= 10
    assert all(tagged(kind) for kind in ("docx", "xlsx", "csv", "pdf", "pptx", "cross-language", "typos"))
    assert all(len({one.file for one in case.relevant}) > 1 for case in tagged("several-documents"))
    assert len(tagged("several-documents")) >= 8
    assert len(tagged("follow-up")) >= 6
    assert all(case.history for case in tagged("follow-up"))


def test_enough_of_it_cannot_be_answered() -> None:
    refused = [case for case in SUITE.cases if case.refuse]
    assert len(refused) >= 12
    assert tagged("unanswerable") == refused
    assert all(("near" in case.tags) != ("far" in case.tags) for case in refused)
    assert sum(case.language == "bn" for case in refused) >= 3


@pytest.mark.parametrize("case", ANSWERABLE, ids=lambda case: str(case.id))
def test_every_expectation_stands_in_the_documents(case: Case, texts: dict[str, str]) -> None:
    assert case.answers
    assert case.relevant
    for answer in case.answers:
        assert any(one_line(answer) in texts[one.file] for one in case.relevant), answer
    for one in case.relevant:
        assert one.quote is not None
        assert texts[one.file].count(one_line(one.quote)) == 1, one


def test_the_baseline_is_of_this_suite() -> None:
    baseline = load(ROOT / "evals" / "baselines" / "sample.jsonl")
    assert baseline.header.suite_sha256 == SUITE.sha256
    assert [case.id for case in baseline.cases] == [case.id for case in SUITE.cases]
    assert not baseline.failed
