"""Where documents are cut: along headings first, then blocks, then rows, items, lines, sentences, words."""

from collections.abc import Sequence

import pytest

from ingest.blocks import Block, Extraction, plain_blocks
from ingest.chunking import TextChunk, chunk
from ingest.counting import AT_ONCE, LONGEST_PIECE
from tests.unit.ingest.support import chunks_of, table, word_piece_spans, word_spans


def texts(chunks: list[TextChunk]) -> list[str]:
    return [item.text for item in chunks]


def test_short_blocks_of_one_section_share_a_chunk_and_two_sections_never_do() -> None:
    chunks = chunks_of("# A\n\none\n\n- two\n- three\n\n# B\n\nfour")
    assert texts(chunks) == ["one\n\n- two\n- three", "four"]
    assert [item.headings for item in chunks] == [["A"], ["B"]]


def test_a_chunk_carries_the_path_of_headings_above_it() -> None:
    chunks = chunks_of("intro\n\n# A\n\na\n\n## B\n\nb\n\n### C\n\nc\n\n## D\n\nd\n\n# E\n\ne")
    assert [(item.text, " > ".join(item.headings)) for item in chunks] == [
        ("intro", ""),
        ("a", "A"),
        ("b", "A > B"),
        ("c", "A > B > C"),
        ("d", "A > D"),
        ("e", "E"),
    ]


def test_what_is_embedded_is_the_path_then_the_table_s_header_then_the_text() -> None:
    item = TextChunk(0, "| 1 |", ["A", "B"], "| h |", 0, 5, None, None, 9)
    assert item.embedded == "A > B\n| h |\n| 1 |"
    bare = TextChunk(0, "text", [], "", 0, 4, None, None, 1)
    assert bare.embedded == "text"
    assert item.content_hash != bare.content_hash


def test_headings_with_nothing_below_them_are_chunks_themselves() -> None:
    chunks = chunks_of("# A\n\n## B\n\n## C\n\n# D")
    assert [(item.text, list(item.headings)) for item in chunks] == [
        ("## B", ["A"]),
        ("## C", ["A"]),
        ("# D", []),
    ]
    assert texts(chunks_of("Title\n=====")) == ["Title\n====="]


def test_a_path_too_long_for_its_chunk_loses_its_outermost_headings_but_not_their_words() -> None:
    outer, inner = "# " + "outer " * 8, "## " + "inner " * 8
    chunks = chunks_of(f"{outer}\n\n{inner}\n\ntext", limit=32)
    assert [(item.text, list(item.headings)) for item in chunks] == [
        (outer.strip(), []),
        ("text", [("inner " * 8).strip()]),
    ]


def test_a_paragraph_that_is_marked_as_a_heading_is_text() -> None:
    long = "# " + " ".join(f"word{n}" for n in range(40))
    chunks = chunks_of(f"# A\n\n{long}\n\nmore", limit=60)
    assert texts(chunks) == [f"{long}\n\nmore"]
    assert chunks[0].headings == ["A"]


def test_rows_stay_whole_and_later_ones_carry_the_header_row_along() -> None:
    text = table(40)
    rows = text.split("\n")
    chunks = chunks_of(f"# T\n\n{text}", limit=80)
    assert len(chunks) > 4
    assert [row for item in chunks for row in item.text.split("\n")] == rows
    assert chunks[0].context == ""
    assert {item.context for item in chunks[1:]} == {rows[0]}
    assert "Column 2" in chunks[-1].embedded


def test_a_table_that_fits_is_not_divided() -> None:
    text = table(3)
    assert texts(chunks_of(text, limit=200)) == [text]


def test_the_header_row_is_found_below_a_title_row() -> None:
    lines = table(40).split("\n")
    title = "| Results of 2023 | | |"
    text = "\n".join([title, lines[1], lines[0], *lines[2:]])
    chunks = chunks_of(text, limit=80)
    assert chunks[0].text.startswith(title)
    assert chunks[0].context == ""
    assert {item.context for item in chunks[1:]} == {lines[0]}


def test_a_row_too_wide_for_a_chunk_is_cut_and_each_part_has_the_header_of_its_cells_and_its_first_cell() -> (
    None
):
    chunks = chunks_of(table(40, columns=20), limit=150)
    assert all(item.tokens <= 150 for item in chunks)
    (found,) = [item for item in chunks if "r7c17 " in item.text]
    assert found.context.startswith("Column 0: r7c0\n| Column ")
    names = found.context.split("\n")[1].strip("| ").split(" | ")
    cells = found.text.strip("| ").split(" | ")
    assert f"Column {17}" == names[cells.index("r7c17")]
    assert len(names) == len(cells)


def test_a_table_behind_another_does_not_go_under_its_header() -> None:
    other = "| Name | Value |\n| --- | --- |\n" + "\n".join(f"| name {n} | value {n} |" for n in range(40))
    for item in chunks_of(f"{table(40, columns=2)}\n\nBetween.\n\n{other}", limit=100):
        if "value 3" in item.text and "| Name | Value |" not in item.text:
            assert item.context == "| Name | Value |"


def test_a_text_of_any_length_is_chunked_in_windows() -> None:
    longest, asked, counted = 0, 0, word_spans()

    def spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        nonlocal longest, asked
        longest, asked = max(longest, *map(len, texts)), asked + 1
        return counted(texts)

    text = "word " * 300_000
    found = chunk(Extraction(text, plain_blocks(text), "text/plain"), spans, limit=200)
    assert longest <= LONGEST_PIECE
    assert asked > len(text) / AT_ONCE
    assert sum(item.text.count("word") for item in found) == 300_000
    assert all(item.tokens <= 200 for item in found)


def test_code_that_fits_is_whole_and_else_cut_between_lines() -> None:
    small = "```\ndef f():\n    return 1\n\n\nf()\n```"
    chunks = chunks_of("\n\n".join(["word " * 50, small, "word " * 50]), limit=60)
    assert texts(chunks)[1] == small
    lines = [f"    value_{n} = {n}" for n in range(60)]
    chunks = chunks_of("```\n" + "\n".join(lines) + "\n```", limit=60)
    assert len(chunks) > 3
    assert [line for item in chunks for line in item.text.split("\n")] == ["```", *lines, "```"]


def test_a_list_is_cut_between_its_items() -> None:
    items = [f"- item {n} of a list that goes on and on" for n in range(30)]
    chunks = chunks_of("\n".join(items), limit=60)
    assert len(chunks) > 3
    assert [line for item in chunks for line in item.text.split("\n")] == items


@pytest.mark.parametrize(
    ("sentence", "end"),
    [
        ("The lease of job number {n} runs out when its worker dies.", "."),
        ("কাজ {n} এর মেয়াদ শেষ হলে অন্য একজন কর্মী সেই কাজটি আবার শুরু করে।", "।"),
        ("第{n}个文件会被切分成小块然后存储在数据库里。", "。"),
    ],
    ids=["English", "Bangla", "Chinese"],
)
@pytest.mark.parametrize("spans", [word_spans(), word_piece_spans()], ids=["words", "word pieces"])
def test_a_long_paragraph_is_cut_at_the_ends_of_sentences(sentence: str, end: str, spans: object) -> None:
    space = "" if end == "。" else " "
    text = space.join(sentence.format(n=n) for n in range(150))
    chunks = chunks_of(text, limit=120, spans=spans)  # type: ignore[arg-type]
    assert len(chunks) > 3
    assert all(item.text.endswith(end) for item in chunks)
    assert space.join(texts(chunks)) == text


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    words = [f"word{n}" for n in range(500)]
    chunks = chunks_of(" ".join(words), limit=60)
    assert [len(item.text.split()) for item in chunks] == [60] * 8 + [20]
    assert " ".join(texts(chunks)).split() == words


def test_a_word_too_long_for_any_chunk_is_cut_and_keeps_every_letter() -> None:
    word = "x1y2z3" * 2_000
    for spans in (word_spans(), word_piece_spans()):
        chunks = chunks_of(f"before {word} after", limit=60, spans=spans)
        assert len(chunks) > 5
        assert "".join("".join(texts(chunks)).split()) == f"before{word}after"


def test_a_row_too_long_for_a_chunk_is_cut_at_its_sentences() -> None:
    sentences = [f"Sentence number {n} stands in one cell." for n in range(30)]
    chunks = chunks_of(f"| a |\n|---|\n| {' '.join(sentences)} |", limit=60)
    assert len(chunks) > 3
    assert all(item.text.rstrip(" |").endswith(".") for item in chunks[1:])


def test_a_chunk_knows_the_pages_it_begins_and_ends_on() -> None:
    text = "one\n\ntwo\n\nthree"
    blocks = [
        Block("paragraph", 0, 3, page=1),
        Block("paragraph", 5, 8, page=2),
        Block("paragraph", 10, 15, page=4),
    ]
    first, second = chunk(Extraction(text, blocks, "application/pdf"), word_spans(), limit=60)[:1], text
    assert (first[0].page, first[0].page_end, first[0].text) == (1, 4, second)


def test_what_stands_between_blocks_counts_too() -> None:
    chunks = chunks_of("\n\n---\n\n".join(["Yes."] * 100), limit=32)
    assert all(len(word_spans()([item.text])[0]) <= 32 for item in chunks)


def test_nothing_comes_of_nothing() -> None:
    assert chunks_of(" \n\n ") == []
