"""Public data sets as suites."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.errors import SuiteError
from evals.importers import import_beir, import_squad
from evals.suite_files import load_suite

CORPUS = [
    {"_id": "d1", "title": "Cats", "text": "Cats sleep a lot.", "metadata": {}},
    {"_id": "D1", "title": "", "text": "Dogs eat meat."},
    {"_id": "https://x.org/a b", "text": "Fish swim."},
    {"_id": "empty", "title": "", "text": " "},
]
QUERIES = [
    {"_id": "d1", "text": "What do cats do?"},
    {"_id": "q/2", "text": "Who swims?"},
    {"_id": "q3", "text": "Unjudged?"},
    {"_id": "q4", "text": "x" * 5000},
]
QRELS = [
    "query-id\tcorpus-id\tscore", "d1\td1\t2", "d1\tD1\t0", "d1\tempty\t1", "q/2\thttps://x.org/a b\t1",
    "q4\td1\t1", "q5\td1\t1",
]  # fmt: skip


def beir(
    folder: Path, corpus: list[Any] = CORPUS, queries: list[Any] = QUERIES, qrels: list[str] = QRELS
) -> Path:
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n")
    return folder


def test_beir(tmp_path: Path) -> None:
    done = import_beir(beir(tmp_path / "in"), tmp_path / "out")
    suite = load_suite(done.suite)
    assert (done.cases, done.documents) == (2, 3)
    cats, fish = suite.cases
    assert (cats.id, cats.question, cats.language) == ("d1", "What do cats do?", "en")
    assert [(one.file, one.grade) for one in cats.relevant] == [("d1.txt", 2)]
    assert (done.folder / "d1.txt").read_text() == "Cats\n\nCats sleep a lot.\n"
    # Ids that differ only in case, or that no file system takes, become names that differ and can be taken.
    names = sorted(path.name for path in done.folder.iterdir())
    assert len({name.lower() for name in names}) == 3
    assert fish.relevant[0].file in names
    assert (done.folder / fish.relevant[0].file).read_text() == "Fish swim.\n"
    assert list(done.notes) == [
        "left out: 1 documents without text",
        "left out: 1 judgements of documents that are empty or not in the corpus",
        "left out: 1 questions that are empty, too long or not text",
        "left out: 1 judged queries that are not in queries.jsonl",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corpus": ['{"_id": "d1"']}, "corpus.jsonl, line 1: is not well-formed JSON"),
        (
            {"corpus": [{"_id": "d1", "text": "x"}, {"_id": 2, "text": "x"}]},
            "corpus.jsonl, line 2, _id: must be text",
        ),
        ({"corpus": [{"_id": "d", "text": "x"}, {"_id": "d", "text": "y"}]}, "The id 'd' is given twice."),
        ({"queries": ["[]"]}, "queries.jsonl, line 1: must be a JSON object"),
        ({"queries": [{"_id": "q"}]}, "queries.jsonl, line 1, text: must be text"),
        ({"qrels": ["query-id\tcorpus-id\tscore", "q d 1"]}, "test.tsv, line 2: must have three columns"),
        ({"qrels": ["q\td\tmuch"]}, "test.tsv, line 1: must have three columns"),
        ({"qrels": ["q\td\t0"]}, "no question that can be asked"),
    ],
)
def test_malformed_beir(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SuiteError) as caught:
        import_beir(beir(tmp_path / "in", **changes), tmp_path / "out")
    assert said in caught.value.detail


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out" / "documents").mkdir(parents=True)
    with pytest.raises(SuiteError, match="exists already"):
        import_beir(beir(tmp_path / "in"), tmp_path / "out")


def test_a_language_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="'English' is no language"):
        import_beir(beir(tmp_path / "in"), tmp_path / "out", "English")


CONTEXT = "Cats sleep a lot. They sleep sixteen hours a day. Dogs do not."


def squad(folder: Path, *questions: dict[str, Any], context: Any = CONTEXT) -> Path:
    paragraphs = [{"context": context, "qas": list(questions)}]
    path = folder / "dev.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "The_Cat", "paragraphs": paragraphs}]}))
    return path


def asked(identifier: str, *answers: tuple[str, int], **fields: Any) -> dict[str, Any]:
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": identifier, "question": f"Question {identifier}?", "answers": given, **fields}


def test_squad(tmp_path: Path) -> None:
    sixteen = CONTEXT.index("sixteen")
    source = squad(
        tmp_path,
        asked("a1", ("sixteen hours", sixteen), ("sixteen", sixteen), ("sixteen hours", sixteen)),
        asked("a2", is_impossible=True, plausible_answers=[{"text": "sixteen", "answer_start": 1}]),
        asked("a3", ("sixteen", 0)),
        asked("a4", ("—", 3)),
    )
    done = import_squad(source, tmp_path / "out")
    first, impossible, misplaced = load_suite(done.suite).cases
    assert first.answers == ("sixteen hours", "sixteen")
    (relevant,) = first.relevant
    assert relevant.quote == "They sleep sixteen hours a day."
    assert relevant.matches(relevant.file, (done.folder / relevant.file).read_text())
    assert (impossible.refuse, impossible.answers) == (True, ())
    assert misplaced.relevant[0].quote == "sixteen"  # the place it gives is not where it stands
    assert list(done.notes) == ["left out: 1 questions without an answer in words"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: is not well-formed JSON"),
        ("[]", "data: must be a list"),
        ('{"data": [{}]}', "data[0].paragraphs: must be a list"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "data[0].paragraphs[0].context: must be text"),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "a"}]}]}]}',
            "qas[0].question: must be text",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "a", "question": "b"}]}]}]}',
            "qas[0].answers",
        ),
    ],
)
def test_malformed_squad(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(SuiteError) as caught:
        import_squad(tmp_path / "dev.json", tmp_path / "out")
    assert said in caught.value.detail
