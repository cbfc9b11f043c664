"""Sheets and CSV: tables with a header, in every dialect, and cut short where they are endless."""

from datetime import date, datetime, time

import pytest

from ingest.chunking import chunk
from ingest.limits import Limits
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read
from tests.unit.ingest.support import word_spans

TABLE = "| Item | Price |\n| --- | --- |\n| Lens, wide | 12 |\n| Bag | 7 |"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'Item,Price\n"Lens, wide",12\nBag,7\n'),
        ("a.csv", "Item;Price\nLens, wide;12\n\n;\nBag;7\n"),
        ("a.csv", "sep=|\nItem|Price\nLens, wide|12\nBag|7"),
        ("a.tsv", "Item\tPrice\r\nLens, wide\t12\r\nBag\t7\r\n"),
        ("a.csv", 'Item,Price\n"Lens,\nwide",12\nBag,7'),
    ],
)
def test_a_csv_is_a_table_in_any_dialect(read: Read, name: str, text: str) -> None:
    found = read(name, text)
    assert found.text == TABLE
    assert [block.kind for block in found.blocks] == ["table"]
    assert read(name, text.encode("utf-16")).text == TABLE


def test_a_quote_that_nobody_closed_does_not_swallow_the_rest(read: Read) -> None:
    found = read("a.csv", 'a,b\n"1,2\n' + "3,4\n" * 3_000)
    assert found.text.count("| 3 | 4 |") == 3_000


def test_every_sheet_is_a_heading_with_its_table_below(read: Read) -> None:
    day = date(2026, 3, 5)
    rows: list[list[object]] = [["Item", "Since"], ["Lens | wide", day], [None, None], ["Bag_1", day]]
    found = read("stock.xlsx", files.workbook({"Stock": rows, "Prices": [["Item", "Price"], ["Lens", 12.5]]}))
    assert found.text == (
        "## Stock\n\n| Item | Since |\n| --- | --- |\n| Lens \\| wide | 2026-03-05 |\n| Bag_1 | 2026-03-05 |\n\n"
        "## Prices\n\n| Item | Price |\n| --- | --- |\n| Lens | 12.5 |"
    )
    assert found.title is None


def test_a_time_of_day_has_no_day(read: Read) -> None:
    rows: list[list[object]] = [
        ["Shop", "Opens", "Since"],
        ["North", time(9, 30), datetime(2026, 3, 5, 14, 30)],
    ]
    found = read("shops.xlsx", files.workbook({"Hours": rows}))
    assert found.text.endswith("| North | 09:30:00 | 2026-03-05 14:30:00 |")


def test_a_sheet_without_end_is_cut_short_with_a_warning_and_keeps_its_header(read: Read) -> None:
    rows: list[list[object]] = [["Number", "Square"]]
    rows += [[n, n * n] for n in range(1_000)]
    text = "\n".join(",".join(map(str, row)) for row in rows)
    for name, data in [("a.xlsx", files.workbook({"Squares": rows})), ("a.csv", text.encode())]:
        found = read(name, data, Limits(rows=100))
        assert found.text.endswith("| 99 | 9801 |")
        (warning,) = found.warnings
        assert "was cut short behind 100 rows" in warning
    assert (
        "The sheet Squares was"
        in read("a.xlsx", files.workbook({"Squares": rows}), Limits(rows=100)).warnings[0]
    )


def test_a_row_far_below_is_found_by_header_and_value(read: Read) -> None:
    rows = [["Employee", "Room"], *([f"person {n}", f"room {n}"] for n in range(80))]
    data = {
        "a.xlsx": files.workbook({"Rooms": rows}),
        "a.csv": "\n".join(",".join(row) for row in rows).encode(),
        "a.docx": files.word(rows=rows),
        "a.html": f"<html><table>{''.join(f'<tr><td>{a}</td><td>{b}</td></tr>' for a, b in rows)}</table>".encode(),
    }
    for name, content in data.items():
        found = chunk(read(name, content), word_spans(), limit=60)
        (holds,) = [item for item in found if "| person 70 |" in item.text]
        assert holds.context == "| Employee | Room |", name
