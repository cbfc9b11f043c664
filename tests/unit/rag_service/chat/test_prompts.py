"""Prompts: the product's own load, and a broken one is refused by name."""

from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from rag_service.chat.prompts import load_prompt
from rag_service.errors import ConfigurationError
from rag_service.settings import Settings

FRONT = "---\nname: test\nversion: 3\nrole: user\nvariables: [question]\n---\n"


def write(folder: Path, text: str) -> Path:
    (folder / "test.md").write_bytes(text.encode())
    return folder


@pytest.mark.parametrize(
    ("name", "role", "values"),
    [
        ("answer", SystemMessage, {}),
        ("question", HumanMessage, {"sources": "SOURCES", "question": "QUESTION"}),
        ("condense", HumanMessage, {"history": "HISTORY", "question": "QUESTION"}),
        ("summarise", HumanMessage, {"summary": "SUMMARY", "turns": "TURNS"}),
        ("earlier", HumanMessage, {"summary": "SUMMARY"}),
    ],
)
def test_our_own_prompts_load_and_take_what_they_declare(
    name: str, role: type, values: dict[str, str]
) -> None:
    prompt = load_prompt(Settings(_env_file=None).prompts_dir, name)
    assert (prompt.name, prompt.mark["name"]) == (name, name)
    message = prompt.message(**values)
    assert type(message) is role
    assert all(value in message.text for value in values.values())
    assert "---" not in message.text


def test_values_are_put_in_as_they_are(tmp_path: Path) -> None:
    prompt = load_prompt(write(tmp_path, FRONT + "Say {{name}}: {question}\n"), "test")
    hostile = "{question} {0} {{x}} %s $y {question.__class__} \\n"
    assert prompt.message(question=hostile).text == "Say {name}: " + hostile


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    plain = load_prompt(write(tmp_path, FRONT + "Ask {question}"), "test")
    odd = load_prompt(write(tmp_path, "\ufeff" + (FRONT + "Ask {question}").replace("\n", "\r\n")), "test")
    assert odd.mark == plain.mark
    assert odd.message(question="x") == plain.message(question="x")


def test_the_hash_changes_with_every_part_of_the_file(tmp_path: Path) -> None:
    texts = [
        FRONT + "Ask {question}",
        FRONT + "Ask {question} ",
        FRONT + "ask {question}",
        FRONT.replace("version: 3", "version: 4") + "Ask {question}",
    ]
    marks = [load_prompt(write(tmp_path, text), "test").mark for text in texts]
    assert len({mark["sha256"] for mark in marks}) == len(texts)
    assert [mark["version"] for mark in marks] == [3, 3, 3, 4]
    assert load_prompt(write(tmp_path, texts[0]), "test").mark == marks[0]


def test_a_missing_prompt_is_refused_with_the_setting_that_says_where_prompts_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"test\.md cannot be read; check RAG_PROMPTS_DIR"):
        load_prompt(tmp_path, "test")
    (tmp_path / "test.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"test\.md cannot be read"):
        load_prompt(tmp_path, "test")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ask {question}",
        "Before\n" + FRONT + "Ask {question}",
        FRONT.removesuffix("---\n") + "Ask {question}",
        "---\n[\n---\nAsk",
        "---\n- a list\n---\nAsk",
        FRONT.replace("name: test\n", "") + "Ask {question}",
        FRONT.replace("variables: [question]\n", "") + "Ask {question}",
        FRONT.replace("[question]", "") + "Ask {question}",
        FRONT.replace("version: 3", "version: third") + "Ask {question}",
        FRONT.replace("role: user", "role: assistant") + "Ask {question}",
        FRONT + "Ask {question} {",
        FRONT + "Ask {question.__class__}",
    ],
)
def test_a_prompt_that_is_not_well_formed_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"test\.md is not well formed"):
        load_prompt(write(tmp_path, text), "test")


@pytest.mark.parametrize(
    ("text", "used"),
    [("Ask {question} of {person}", "['person', 'question']"), ("Ask", "[]"), ("Ask {person}", "['person']")],
)
def test_a_prompt_that_uses_other_variables_than_it_declares_is_refused(
    tmp_path: Path, text: str, used: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_prompt(write(tmp_path, FRONT + text), "test")
    assert f"declares the variables ['question'] but uses {used}" in refused.value.detail
