"""Tables of PDFs: every row is found by its header and its values, and no sentence is torn for one that is none."""

from collections.abc import Callable, Sequence

import pytest
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from ingest.blocks import Extraction
from ingest.chunking import chunk
from ingest.limits import Limits
from tests.unit.ingest.conftest import Read
from tests.unit.ingest.support import word_spans

ROWS = [
    ["Product", "Price", "Days"],
    ["Camera", "400.01", "3"],
    ["Lens", "600.01", "5"],
    ["Bag", "12.50", "14"],
]
TABLE = (
    "| Product | Price | Days |\n| --- | --- | --- |\n| Camera | 400.01 | 3 |\n| Lens | 600.01 | 5 |\n"
    "| Bag | 12.50 | 14 |"
)


def page_with(draw: Callable[[FPDF], None], *, before: str = "Prices of the year.") -> bytes:
    """A page with a sentence, what is drawn, and a sentence."""
    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=11)
    for part in (before, draw, "Thank you for reading."):
        if callable(part):
            part(document)
        else:
            document.multi_cell(0, 8, part, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    return bytes(document.output())


def drawn(document: FPDF) -> None:
    with document.table() as table:
        for row in ROWS:
            table.row(row)


def set_apart(document: FPDF, rows: Sequence[Sequence[str]] = ROWS, align: str = "R") -> None:
    for row in rows:
        for text in row:
            document.cell(30, 8, text, align=align)
        document.ln()


def touching(document: FPDF) -> None:
    """Columns without a gap: a number ends where the next begins, with a line between them."""
    for row in ROWS:
        for text, align in zip(row, "LRL", strict=True):
            document.cell(30, 8, text, align=align, border=1)
        document.ln()


def sideways(document: FPDF, rows: Sequence[Sequence[str]]) -> None:
    with document.rotation(90, 100, 150):
        for number, row in enumerate(rows):
            document.set_xy(60, 120 + 8 * number)
            for text in row:
                document.cell(30, 8, text)


def tables(found: Extraction) -> list[str]:
    return [found.text[block.start : block.end] for block in found.blocks if block.kind == "table"]


@pytest.mark.parametrize("draw", [drawn, set_apart, touching], ids=lambda draw: draw.__name__)
def test_a_table_of_a_pdf_is_a_table_where_it_stood(read: Read, draw: Callable[[FPDF], None]) -> None:
    found = read("prices.pdf", page_with(draw))
    assert found.text == f"Prices of the year.\n\n{TABLE}\n\nThank you for reading."
    assert [(block.kind, block.page) for block in found.blocks] == [
        ("paragraph", 1),
        ("table", 1),
        ("paragraph", 1),
    ]
    assert not found.warnings


def test_a_page_that_is_turned_has_its_table(read: Read) -> None:
    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=11)
    sideways(document, ROWS * 2)
    assert tables(read("turned.pdf", bytes(document.output())))[0].startswith(TABLE)


def test_a_row_of_a_long_table_is_found_by_its_header(read: Read) -> None:
    rows = [["Employee", "Room"], *([f"person {n}", str(700 + n)] for n in range(30))]
    found = chunk(read("a.pdf", page_with(lambda pdf: set_apart(pdf, rows))), word_spans(), limit=60)
    (holds,) = [item for item in found if "| person 27 | 727 |" in item.text]
    assert holds.context == "| Employee | Room |"


def test_lines_of_a_cell_and_of_a_header_are_one_row(read: Read) -> None:
    def draw(document: FPDF) -> None:
        with document.table(col_widths=(20, 30, 20)) as table:
            table.row(
                ["Kind of the product", "What is said of it by the people who sell it", "Price in euro"]
            )
            table.row(
                ["Camera", "Heavy, and made for those who know why they need one that is heavy", "400.01"]
            )
            table.row(["Lens", "Light", "600.01"])

    (table,) = tables(read("a.pdf", page_with(draw)))
    assert "| Camera | Heavy, and made for those who know why they need one that is heavy | 400.01 |" in table
    assert len(table.split("\n")) == 4


def test_a_name_that_is_set_beside_its_column_stands_above_it(read: Read) -> None:
    def draw(document: FPDF) -> None:
        for row, shift in zip(ROWS, [50, 75, 75, 75], strict=True):
            for text, left in zip(row, [10, shift, 110], strict=True):
                document.set_x(left)
                document.cell(20, 8, text)
            document.ln()

    assert tables(read("a.pdf", page_with(draw))) == [TABLE]


PROSE = (
    "Keep the receipt of what you bought, since nothing is taken back without it in any of our shops. " * 6
)


def columns_of_prose(document: FPDF) -> None:
    with document.text_columns(ncols=2, gutter=10) as columns:
        columns.write(PROSE * 3 + "In 2024 it was 14 days, in 2025 it was 30 days. " * 6)


def numbered(document: FPDF) -> None:
    set_apart(document, [["1.", "Open"], ["2.", "Read"], ["3.", "Close"]], align="L")


def contents(document: FPDF) -> None:
    set_apart(document, [["Opening", "3"], ["Reading", "7"], ["Closing", "19"], ["Index", "24"]], align="L")


def framed(document: FPDF) -> None:
    document.multi_cell(120, 8, PROSE, border=1, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


@pytest.mark.parametrize(
    "draw", [columns_of_prose, numbered, contents, framed], ids=lambda draw: draw.__name__
)
def test_what_is_no_table_is_not_taken_for_one(read: Read, draw: Callable[[FPDF], None]) -> None:
    found = read("a.pdf", page_with(draw, before="What was new in 2024 and what will be new in 2025."))
    assert not tables(found)
    assert "Thank you for reading." in found.text


def test_tables_for_which_no_time_is_left_stay_lines_with_a_warning(read: Read) -> None:
    found = read("a.pdf", page_with(set_apart), Limits(seconds=0.0))
    assert "400.01" in found.text and TABLE not in found.text
    assert any("tables were left as they came" in warning for warning in found.warnings)
