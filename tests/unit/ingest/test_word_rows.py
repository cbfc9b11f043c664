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
        (
            "Fares\t\tCity\tAdult\tChild\t\tCairo\t150\t\t\tAll of the others\t\t"
            "Bonn\t90\t45\t\tOslo\tfree\t\tRome\t80\t40\t\t",
            "Fares\n\n| City | Adult | Child |\n| --- | --- | --- |\n| Cairo | 150 | |\n| All of the others | | |\n"
            "| Bonn | 90 | 45 |\n| Oslo free | | |\n| Rome | 80 | 40 |",
        ),
        ("a\t\tb\t\tc\td\t\te\t\tf\tg\t\t", "a\nb\nc d\ne\nf g"),
    ],
    ids=[
        "an empty cell",
        "a cell of two paragraphs",
        "tab stops",
        "a row of merged cells",
        "merged cells",
        "no table",
    ],
)
def test_rows_are_a_table_where_all_have_as_many_cells(text: str, told: str) -> None:
    said, blocks = with_rows(text)
    assert said == told
    assert [said[block.start : block.end] for block in blocks] == told.split("\n\n")


def test_a_table_of_ten_thousand_rows_is_read_row_by_row() -> None:
    merged = {row * row for row in range(2, 100)}
    rows = "".join("all of these\t\t" if row in merged else "name\t1\t\t" for row in range(1, 10_000))
    said, blocks = with_rows(rows)
    assert [block.kind for block in blocks] == ["table"]
    assert said.count("| name | 1 |") == 9901 and said.count("| all of these | |") == 98
