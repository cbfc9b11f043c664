"""Suites from files: what is read, and that every fault is told with its line and field."""

import hashlib
from pathlib import Path

import pytest

from evals.errors import SuiteError
from evals.suite import Relevant
from evals.suite_files import load_suite

GOOD = """\
name: pets
description: About pets.
cases:
  - id: cats
    question: How long do cats sleep?
    language: en
    tags: [plain]
    relevant:
      - cats.md
      - {file: more.md, quote: sixteen hours, grade: 2}
    answers: [16 hours]
  - id: dogs
    history: ["What do dogs eat?"]
    question: And wolves?
    language: pt-BR
    refuse: true
    knowledge_base: animals
"""


def write(folder: Path, text: str | bytes, name: str = "suite.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def fault(folder: Path, text: str | bytes, name: str = "suite.yaml") -> str:
    """What is said about a suite that cannot be used, without the folder."""
    with pytest.raises(SuiteError) as caught:
        load_suite(write(folder, text, name))
    return caught.value.detail.replace(f"{folder}/", "")


def test_a_yaml_suite(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))
    assert (suite.name, suite.description) == ("pets", "About pets.")
    assert suite.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    cats, dogs = suite.cases
    assert cats.relevant == (
        Relevant(file="cats.md"),
        Relevant(file="more.md", quote="sixteen hours", grade=2),
    )
    assert (cats.answers, cats.refuse, cats.knowledge_base) == (("16 hours",), False, "default")
    assert (dogs.history, dogs.refuse, dogs.knowledge_base) == (("What do dogs eat?",), True, "animals")
    assert suite.first(1) == [cats]


def test_a_jsonl_suite_has_the_name_of_its_file(tmp_path: Path) -> None:
    text = '\ufeff{"id":"a","question":"Q?","language":"bn","answers":["উ"]}\n\n' \
        '{"id":"b","question":"Line\\u2028end?","language":"en","refuse":true}\n'  # fmt: skip
    suite = load_suite(write(tmp_path, text, "small.jsonl"))
    assert (suite.name, [case.id for case in suite.cases]) == ("small", ["a", "b"])


def test_a_quote_is_found_whatever_the_line_breaks() -> None:
    relevant = Relevant(file="a.pdf", quote="sixteen hours  a day")
    assert relevant.matches("a.pdf", "Cats sleep sixteen\nhours a\n day.")
    assert not relevant.matches("b.pdf", "sixteen hours a day")
    assert not relevant.matches("a.pdf", "sixteen days")


def test_every_fault_of_a_yaml_suite_names_its_line_and_field(tmp_path: Path) -> None:
    faults = {
        "question: How long do cats sleep?": ("quetsion: x", 5, "quetsion", "is no field"),
        "language: en": ("language: no", 6, "language", "must be text; put it in quotes"),
        "tags: [plain]": ("tags: [Plain!]", 7, "tags[0]", "should match pattern"),
        "- cats.md": ("- {flie: cats.md}", 9, "relevant[0].flie", "is no field"),
        "grade: 2": ("grade: 0", 10, "relevant[1].grade", "greater than or equal to 1"),
        "answers: [16 hours]": ("answers: [16]", 11, "answers[0]", "must be text"),
        "answers: [16 hours] ": ("answers: 16 hours", 11, "answers", "must be a list"),
        "answers: [16 hours]  ": ('answers: ["!"]', 11, "answers[0]", "must hold a letter or a digit"),
        'history: ["What do dogs eat?"]': ('history: [""]', 13, "history[0]", "must not be empty"),
        "refuse: true": ("refuse: maybe", 16, "refuse", "must be true or false"),
        "knowledge_base: animals": (
            "knowledge_base: My Animals",
            17,
            "knowledge_base",
            "should match pattern",
        ),
        "id: dogs": ("id: cats", 12, "id", "taken already, on line 4"),
        "  - id: dogs": ("  - 5\n  - id: dogs", 12, "", "must be a case"),
        "name: pets": ("name: [pets]", 1, "name", "must be text"),
        "description: About pets.": ("descripton: x", 2, "descripton", "is no field of a suite"),
    }
    for old, (new, line, field, sentence) in faults.items():
        said = fault(tmp_path, GOOD.replace(old.rstrip(), new, 1))
        place = f"suite.yaml, line {line}, {field}: " if field else f"suite.yaml, line {line}: "
        assert said.startswith(place), (said, place)
        assert sentence in said
        assert said.endswith(".")


def test_faults_of_a_case_as_a_whole_name_the_line_it_begins_on(tmp_path: Path) -> None:
    said = fault(tmp_path, GOOD.replace("    refuse: true\n", ""))
    assert said.startswith("suite.yaml, line 12: needs `relevant` or `answers`, or `refuse: true`")
    assert "(case 'dogs')" in said
    said = fault(tmp_path, GOOD.replace("refuse: true", "refuse: true\n    answers: [meat]"))
    assert "line 12: a case with `refuse: true` has no answer" in said


def test_a_missing_field_names_the_case(tmp_path: Path) -> None:
    said = fault(tmp_path, GOOD.replace("    question: And wolves?\n", ""))
    assert said == "suite.yaml, line 12, question: is missing (case 'dogs')."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cases: [\n", "suite.yaml, line 2: is not well-formed YAML: "),
        ("cases:\n  - id: a\n\tquestion: b\n", "suite.yaml, line 3: is not well-formed YAML: "),
        ("cases:\n  - id: a\n    id: b\n", "suite.yaml, line 3: is not well-formed YAML: the field 'id' is given"),
        ("cases: !!python/object:os.system {}\n", "suite.yaml, line 1: is not well-formed YAML: could not determine"),
        ("", "suite.yaml, line 1: must be a mapping"),
        ("- a\n", "suite.yaml, line 1: must be a mapping"),
        ("name: x\n", "suite.yaml, line 1, cases: must be a list"),
        ("name: x\ncases:\n", "suite.yaml, line 2, cases: must be a list"),
        ("cases: []\n", "suite.yaml holds no case."),
        ("cases: " + "[" * 5000, "suite.yaml is nested too deeply"),
        (b"name: x\ncases: \xff\n", "suite.yaml, line 2: is not UTF-8"),
        ("name: a\x00b\n", "suite.yaml is not well-formed YAML: it holds a character"),
    ],
)  # fmt: skip
def test_malformed_yaml(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert fault(tmp_path, text).startswith(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "suite.jsonl, line 2: is not well-formed JSON: "),
        ("[1]", "suite.jsonl, line 2: must be a case"),
        ('{"id":"b"}', "suite.jsonl, line 2, question: is missing (case 'b')."),
        ('{"id":"b","id":"c"}', "suite.jsonl, line 2: has the field 'id' twice."),
        ('{"id":"a","question":"Q","language":"en","refuse":true}', "suite.jsonl, line 2, id: the id 'a' is taken"),
        ('{"id":"b","question":"\\ud800","language":"en","refuse":true}', "suite.jsonl, line 2, question: "),
        ('{"id":"b","question":"a\\u0000b","language":"en","refuse":true}', "suite.jsonl, line 2, question: must not"),
        ("[" * 20000, "suite.jsonl, line 2: is nested too deeply"),
        ('{"id":"b","question":"Q","language":"en","refuse":true,"relevant":[3]}',
         "suite.jsonl, line 2, relevant[0]: must be a file name, or a mapping"),
    ],
)  # fmt: skip
def test_malformed_jsonl(tmp_path: Path, line: str, said: str) -> None:
    good = '{"id":"a","question":"Q","language":"en","refuse":true}\n'
    assert fault(tmp_path, good + line + "\n", "suite.jsonl").startswith(said)


def test_files_that_are_no_suites(tmp_path: Path) -> None:
    assert "must end in .yaml, .yml or .jsonl" in fault(tmp_path, "x", "suite.txt")
    for path, why in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SuiteError, match=why):
            load_suite(path)
