"""Blocks: what Markdown and plain text fall into, and that every block is a span of the text."""

import random
import re
from collections.abc import Sequence

import pytest

from ingest.blocks import Block, first_heading, heading_text, markdown_blocks, plain_blocks

RULE = re.compile(r"[ \t]{0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}")
SNIPPETS = [
    *(
        "# ",
        "###### ",
        "#",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "```",
        "```python\n",
        "~~~\n",
        "    ",
        "\t",
        "  ",
    ),
    *(
        "| a | b |\n|---|---|\n",
        "| 1 | 2 |\n",
        "|",
        "- ",
        "* ",
        "1. ",
        "10) ",
        "> ",
        "---\n",
        "***",
        "===\n",
        "- - -",
    ),
    *(
        "<div>",
        "</div>\n",
        "<!-- ",
        " -->",
        "<script>",
        "[a]: http://x\n",
        "[a](b)",
        "![c](d)",
        "\\",
        "`",
        "*",
        "_",
    ),
    *(
        "word ",
        "Two words. ",
        "বাংলা বাক্য। ",
        "中文句子。",
        "عربي ",
        "🙂",
        "\u2028",
        "\u00a0",
        "\u3000",
        "e\u0301",
        "&amp;",
    ),
]


def seen(text: str) -> list[tuple[str, str]]:
    return [(block.kind, text[block.start : block.end]) for block in markdown_blocks(text)]


def test_headings_are_found_in_both_notations_of_markdown() -> None:
    text = "# One\n\nTwo\n===\n\n### Three ###\ntext\nFour\n---\n#no heading"
    assert [(block.level, text[block.start : block.end]) for block in markdown_blocks(text)] == [
        (1, "# One"),
        (1, "Two\n==="),
        (3, "### Three ###"),
        (2, "text\nFour\n---"),
        (0, "#no heading"),
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("## Getting *started* ##", "Getting started"),
        ("# Set `RAG_STATE_DIR` and job_attempts", "Set RAG_STATE_DIR and job_attempts"),
        ("A long\ntitle\n=====", "A long title"),
        ("# [Install](install.md) it", "Install it"),
        ("# ***Warning***", "Warning"),
        ("## C#", "C#"),
        ("# SELECT * FROM t", "SELECT * FROM t"),
        ("##", ""),
        ("১. ভূমিকা", "১. ভূমিকা"),
    ],
)
def test_a_heading_s_words_come_without_the_marks_of_a_heading(raw: str, words: str) -> None:
    assert heading_text(raw) == words


def test_the_first_heading_is_found_behind_other_blocks() -> None:
    text = "An introduction.\n\n## The *title*\n\n# Another"
    assert first_heading(text, markdown_blocks(text)) == "The title"
    assert first_heading("nothing", markdown_blocks("nothing")) is None


def test_a_fence_is_one_block_whatever_stands_in_it() -> None:
    fence = "```python\n# no heading\n\n| no | table |\n```"
    assert seen(f"Before\n\n{fence}\n\nAfter") == [
        ("paragraph", "Before"),
        ("code", fence),
        ("paragraph", "After"),
    ]
    assert seen("~~~\n```\n~~~") == [("code", "~~~\n```\n~~~")]
    assert seen("Text\n\n```\nnever closed\n\n# x\n") == [
        ("paragraph", "Text"),
        ("code", "```\nnever closed\n\n# x"),
    ]


def test_indented_code_keeps_the_indentation_of_its_first_line() -> None:
    assert seen("Text\n\n    if x:\n        y\n\nEnd")[1] == ("code", "    if x:\n        y")


def test_a_table_is_one_block_and_a_line_of_pipes_alone_is_none() -> None:
    table = "| a | b |\n|---|:-:|\n| 1 | 2 |"
    assert seen(f"# T\n{table}\n\nEnd") == [("heading", "# T"), ("table", table), ("paragraph", "End")]
    assert seen("| a | b |")[0][0] == "paragraph"


def test_a_list_with_its_nested_and_loose_items_is_one_block() -> None:
    items = "- one\n  - nested\n\n- two\n\n  more of two"
    assert seen(f"{items}\n\nEnd") == [("list", items), ("paragraph", "End")]
    assert seen("1. one\n2. two") == [("list", "1. one\n2. two")]


def test_front_matter_is_one_block_and_only_at_the_beginning() -> None:
    assert seen("---\ntitle: x\n---\n# H") == [("code", "---\ntitle: x\n---"), ("heading", "# H")]
    assert seen("---\na: b\n...\nText")[0] == ("code", "---\na: b\n...")
    assert seen("Text\n\n---\n\ntitle: x") == [("paragraph", "Text"), ("paragraph", "title: x")]


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_other_line_ends_do_not_move_the_spans(line_end: str) -> None:
    text = "# One\n\nText\nmore\n\n- a\n- b\n\n```\ncode\n```\n"
    other = text.replace("\n", line_end)
    assert seen(other) == [(kind, piece.replace("\n", line_end)) for kind, piece in seen(text)]


def test_html_quotes_and_link_definitions_are_text() -> None:
    text = "<div>\nhello\n</div>\n\n> quoted\n> # not a section\n\n[a]: http://example.org\n\n<!-- hidden -->"
    assert seen(text) == [("paragraph", piece) for piece in text.split("\n\n")]


def test_a_heading_inside_a_list_opens_no_section() -> None:
    assert seen("- # in a list\n- b") == [("list", "- # in a list\n- b")]


def test_blocks_know_the_page_they_begin_on() -> None:
    text = "one\n\ntwo\n\nthree"
    pages = {text[block.start : block.end]: block.page for block in markdown_blocks(text, [0, 5])}
    assert pages == {"one": 1, "two": 2, "three": 2}
    assert all(block.page is None for block in markdown_blocks(text))


def test_plain_text_falls_into_what_stands_between_blank_lines() -> None:
    text = "\n\n  One\nstill one \n \t\n\nTwo # no heading\n\n\n\n| no | table |\n"
    assert [text[block.start : block.end] for block in plain_blocks(text)] == [
        "One\nstill one",
        "Two # no heading",
        "| no | table |",
    ]
    assert plain_blocks(" \n\t\n") == markdown_blocks(" \n\t\n") == []


def check(text: str, blocks: Sequence[Block]) -> str:
    """Checks the spans of the blocks, and returns what stands outside of them."""
    outside, at = "", 0
    for block in blocks:
        assert at <= block.start < block.end <= len(text)
        piece = text[block.start : block.end]
        assert piece.strip()
        assert piece == piece.rstrip()
        assert (block.level > 0) is (block.kind == "heading")
        outside += text[at : block.start] + "\n"
        at = block.end
    return outside + text[at:]


def test_any_text_falls_into_ordered_blocks_that_hold_all_that_is_not_blank() -> None:
    chance = random.Random(20_241)
    for _ in range(1_500):
        text = "".join(chance.choices(SNIPPETS, k=chance.randint(0, 40)))
        assert not check(text, plain_blocks(text)).strip(), repr(text)
        left = check(text, markdown_blocks(text)).strip()
        rules = [line for line in re.split(r"\r\n?|\n", left) if line.strip()]
        assert all(RULE.fullmatch(line) for line in rules), repr(text)
