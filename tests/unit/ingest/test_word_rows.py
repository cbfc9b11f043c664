"""Tables of older Word files, told from their tabs."""

import pytest

from ingest.word_rows import with_rows


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Prices\nCity\tEuro\t\tCairo\t150\t\tBonn\t\t\t\nAfter them",
            "Prices\n\n| City | Euro |\n| --- | --- |\n| Cairo | 150 |\n| Bonn | |\n\nAfter them",
        ),
        ("a\tb\t\tc\nmore\td \t\t \nend", "| a | b |\n| --- | --- |\n| c more | d |\n\nend"),
        ("Name:\tJohn\nTel:\t\t55", "Name: John\nTel:\n55"),
        ("one\ttwo\tthree\t\tmerged\tlast\t\t", "one two three\nmerged last"),
    ],
    ids=["an empty cell", "a cell of two paragraphs", "tab stops", "merged cells"],
)
def test_rows_are_a_table_where_all_have_as_many_cells(text: str, told: str) -> None:
    said, blocks = with_rows(text)
    assert said == told
    assert [said[block.start : block.end] for block in blocks] == told.split("\n\n")
