"""What the converter leaves in its output, and what becomes of it."""

from typing import Any

import pytest

from ingest.blocks import Block
from ingest.converted import PAGE_MARK, from_markdown, from_nodes, pages_without_text


def read(content: str) -> str:
    return from_markdown(content)[0]


def node(kind: str, text: str, page: int | None = None, **more: Any) -> dict[str, Any]:
    return {"content": {"node_type": kind, "text": text, **more}, "page": page}


@pytest.mark.parametrize(
    ("converted", "text"),
    [
        (
            r"Hello\! Use RAG\_STATE\_DIR \& \<name\> \#1 \*now\*",
            "Hello! Use RAG_STATE_DIR & <name> #1 *now*",
        ),
        (r"https://example.org/?a=1\&b=2", "https://example.org/?a=1&b=2"),
        ("# A \\# sign", "# A # sign"),
        ("```\na \\! b\n```", "```\na \\! b\n```"),
        ("one&#9;two&#32;three", "one two three"),
        ("See ![the logo](data:,) here", "See the logo here"),
        ("![](https://example.org/pixel(1).gif) text", "text"),
        ("[](/) [Home](/) text", "[Home](/) text"),
        ("| a | b\\|c |\n| --- | --- |\n| 1 | 2 |", "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |"),
    ],
)
def test_text_reads_as_it_did_in_the_file(converted: str, text: str) -> None:
    assert read(converted) == text


def test_a_table_is_not_padded_and_has_no_empty_rows() -> None:
    padded = (
        "| Name     | B   |\n| -------- | --- |\n| a        |     |\n|          |     |\n| c        | -   |"
    )
    assert read(padded) == "| Name | B |\n| --- | --- |\n| a | |\n| c | - |"


def test_blocks_are_where_they_are_after_the_cleaning() -> None:
    text, blocks, pages = from_markdown("# One\\!\n\n![](x.png)\n\nTwo\\_three\n\n    code\n\n- four\\.\n")
    assert [(block.kind, text[block.start : block.end]) for block in blocks] == [
        ("heading", "# One!"),
        ("paragraph", "Two_three"),
        ("code", "    code"),
        ("list", "- four."),
    ]
    assert pages is None


def test_page_marks_become_pages() -> None:
    marks = [PAGE_MARK.format(page_num=number) for number in (1, 2, 4)]
    text, blocks, pages = from_markdown(f"{marks[0]}# One\n\na{marks[1]}b\n\nc{marks[2]}d")
    assert text == "# One\n\na\n\nb\n\nc\n\nd"
    assert [(text[block.start : block.end], block.page) for block in blocks] == [
        ("# One", 1),
        ("a", 1),
        ("b", 2),
        ("c", 2),
        ("d", 4),
    ]
    assert pages == 4


def test_a_page_mark_of_the_author_s_own_does_no_harm() -> None:
    text, blocks, _ = from_markdown("a \ue0009\ue001 b")
    assert "a" in text and "b" in text
    assert all(text[block.start : block.end].strip() for block in blocks)


def test_nodes_of_a_pdf_become_blocks_with_their_pages() -> None:
    grid = {
        "rows": 2,
        "cols": 2,
        "cells": [
            {"row": 0, "col": 0, "content": "Name"},
            {"row": 0, "col": 1, "content": "A | B"},
            {"row": 1, "col": 0, "content": "two\nlines"},
        ],
    }
    text, blocks = from_nodes(
        [
            node("heading", "Title", 1, level=1),
            node("group", "not text"),
            node("paragraph", "ind\x02\nex\x00"),
            node("list_item", "- item", 2),
            node("code", "x = 1", 3),
            node("table", "", 3, grid=grid),
            node("paragraph", "  "),
        ]
    )
    assert [(block.kind, block.level, block.page, text[block.start : block.end]) for block in blocks] == [
        ("heading", 1, 1, "Title"),
        ("paragraph", 0, 1, "index"),
        ("list", 0, 2, "- item"),
        ("code", 0, 3, "x = 1"),
        ("table", 0, 3, "| Name | A \\| B |\n| --- | --- |\n| two lines |  |"),
    ]


@pytest.mark.parametrize(
    ("line", "is_heading"),
    [
        ("2. Installation", True),
        ("3.1 Why Chroma runs as a server", True),
        ("How do I reset my password?", True),
        ("ভূমিকা", True),
        ("iOS", True),
        ("and one which is continually", False),
        ("information. However, malicious actors are", False),
        ("Federal agencies and our infrastructure,", False),
        ("The service keeps every answer that it ever gave.", False),
        ("What is cancer? ................. 4", False),
        ("long " * 60, False),
    ],
)
def test_a_line_of_a_pdf_that_reads_like_running_text_is_no_heading(line: str, is_heading: bool) -> None:
    _, blocks = from_nodes([node("heading", line, 1, level=2)])
    assert (blocks[0].kind == "heading") is is_heading
    assert blocks[0].level == (2 if is_heading else 0)


def test_pages_without_text_are_named_but_not_all_of_a_hundred() -> None:
    blocks = [Block("paragraph", 0, 1, page=2)]
    assert pages_without_text(blocks, 4) == [
        "No text on page 1, 3, 4: if it shows text, it is a picture of it."
    ]
    assert pages_without_text(blocks, 100)[0].count(",") < 25
    assert pages_without_text(blocks, None) == pages_without_text([], 3) == []
