"""Files of results: what is written can be read, and what is no such file is refused with its line."""

from pathlib import Path

import pytest

from evals.errors import ResultsError
from evals.provenance import Target, commit_of, machine
from evals.results import as_line, load, save
from tests.unit.evals.builders import result, results


def test_written_and_read(tmp_path: Path) -> None:
    cases = (
        result("a", {"recall@5": 1.0}, answer="Line\u2028end 😀 ক", timings={"first_token_ms": 3.5}),
        result("b", error="Gone."),
    )
    made = results(*cases, models=["extractive"], settings={"retrieve_chunks": 8})
    save(tmp_path / "new" / "results.jsonl", made)
    found = load(tmp_path / "new" / "results.jsonl")
    assert (found.header, list(found.cases)) == (made.header, list(cases))
    assert [case.id for case in found.failed] == ["b"]
    assert (found.cases[0].value("recall@5"), found.cases[0].value("first_token_ms")) == (1.0, 3.5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: is not the header of a file of results"),
        ('{"kind":"rag-eval results"}\n', "line 1, suite: is not the header"),
        ('{"id":"a"}\n', "line 1, "),
        ("HEADER\n{", "line 2: is not the result of a case"),
        ("HEADER\n" + as_line(result("a"))[:-20], "line 2: is not the result of a case"),
        ("HEADER\n" + as_line(result("a")) * 2, "has a case twice"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text.replace("HEADER\n", as_line(results().header)))
    with pytest.raises(ResultsError) as caught:
        load(path)
    assert said in caught.value.detail


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in (("none", "No such file"), ("binary", "not UTF-8"), (".", "directory")):
        with pytest.raises(ResultsError, match=why):
            load(tmp_path / name)


def test_no_header_names_a_password_or_a_machine() -> None:
    assert Target("http://user:secret@host:80/", "key").name == "http://host/"
    assert set(machine()) == {"cpus", "processor", "system", "python"}


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert commit_of(tmp_path) is None
