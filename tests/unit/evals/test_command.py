"""The command line: one sentence for what cannot be done, and exit codes that say how it went."""

import sys
from pathlib import Path

import pytest

from evals.__main__ import main
from evals.results import save
from tests.unit.evals.builders import result, results


@pytest.fixture
def rag_eval(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Command":
    return Command(monkeypatch, capsys)


class Command:
    """Runs `rag-eval`; gives its exit code, what it printed, and what it complained of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["rag-eval", *map(str, arguments)])
        self._monkeypatch.setenv("COLUMNS", "120")
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs, the second much worse."""
    paths = (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    for path, value in zip(paths, (1.0, 0.0), strict=True):
        save(path, results(*(result(f"c{n}", {"recall@5": value, "token_f1": 0.5}) for n in range(10))))
    return paths


def test_compare(rag_eval: Command, runs: tuple[Path, Path]) -> None:
    code, out, _ = rag_eval("compare", *runs)
    assert code == 0
    assert "10 cases compared, B against A." in out
    assert out.split("recall@5", 1)[1].split("\n")[0].split() == [
        "100.0", "%", "0.0", "%", "-100.0", "pp", "-100.0", "–", "-100.0", "0", "10",
    ]  # fmt: skip


def test_compare_fails_if_told_to(rag_eval: Command, runs: tuple[Path, Path]) -> None:
    code, out, _ = rag_eval("compare", *runs, "--fail-if", "token_f1 < 0", "--fail-if", "recall@5 < -0.02")
    assert code == 1
    assert "FAILED  recall@5 < -0.02: recall@5 went from 100.0 % to 0.0 %" in out
    assert "FAILED  token_f1" not in out
    code, out, _ = rag_eval("compare", *runs, "--fail-if", "token_f1 < 0")
    assert (code, "No regression." in out) == (0, True)


def test_compare_of_two_suites(rag_eval: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    save(other, results(result("elsewhere", {"recall@5": 1.0})))
    code, _, err = rag_eval("compare", runs[0], other)
    assert code == 2
    assert err.endswith("have no case in common: they are of two suites.\n")


def test_report(rag_eval: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, _ = rag_eval("report", runs[0], "--output", tmp_path / "x.html")
    assert (code, out) == (0, f"Written to {tmp_path / 'x.html'}.\n")
    assert "Found among the first 5" in (tmp_path / "x.html").read_text()


def test_import(rag_eval: Command, tmp_path: Path) -> None:
    source = tmp_path / "squad.json"
    source.write_text(
        '{"data": [{"title": "T", "paragraphs": [{"context": "It is 5.", "qas": '
        '[{"id": "a", "question": "What is it?", "answers": [{"text": "5", "answer_start": 6}]}]}]}]}'
    )
    code, out, _ = rag_eval("import", "squad", source, tmp_path / "out", "--language", "en")
    assert code == 0
    assert out.startswith(f"1 cases in {tmp_path / 'out' / 'suite.jsonl'}, 1 documents in")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "none.yaml"], "rag-eval: none.yaml cannot be read: No such file or directory."),
        (["run", "SUITE", "--url", "http://127.0.0.1:9", "--key", "k"],
         "rag-eval: The target at http://127.0.0.1:9 does not answer: is it running?"),
        (["run", "SUITE", "--url", "http://[", "--key", "k"], "is it running?"),
        (["run", "SUITE", "--url", "https://example.org"], "rag-eval: No key for https://example.org: give one"),
        (["run", "SUITE"], "rag-eval: No server is running on"),
        (["compare", "none", "none"], "rag-eval: none cannot be read: No such file or directory."),
        (["compare", "A", "B", "--fail-if", "recall < 0"], "rag-eval: 'recall < 0': there is no measure 'recall'."),
        (["report", "SUITE"], "is not the header of a file of results"),
        (["import", "beir", "nowhere", "out"], "rag-eval: nowhere/qrels/test.tsv cannot be read: No such file"),
        (["check", "SUITE", "--baseline", "A"], "rag-eval: The baseline has no case of the suite"),
        (["check", "SUITE", "--baseline", "A", "--set", "RAG_X"], "rag-eval: 'RAG_X' is no setting; write it like"),
        (["check", "SUITE", "--baseline", "C", "--set", "RAG_X=1"], "rag-eval: There is no setting RAG_X;"),
        (["check", "SUITE", "--baseline", "C", "--set", "DATABASE_URL=x"], "rag-eval: DATABASE_URL cannot be set"),
        (["check", "SUITE", "--baseline", "C", "--set", "RAG_CHUNK_TOKENS=no"],
         "rag-eval: RAG_CHUNK_TOKENS cannot be set so: "),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(
    rag_eval: Command,
    runs: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    suite = tmp_path / "suite.jsonl"
    suite.write_text('{"id":"only","question":"Q?","language":"en","refuse":true}\n')
    save(tmp_path / "c.jsonl", results(result("only")))
    files = {"SUITE": suite, "A": runs[0], "B": runs[1], "C": tmp_path / "c.jsonl"}
    code, _, err = rag_eval(*(files.get(argument, argument) for argument in arguments))
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "results.jsonl").exists()
