"""Numbers as a sheet shows them."""

from datetime import date, timedelta

import openpyxl
import pytest

from ingest.number_formats import shown
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read

ACCOUNTING = '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)'


@pytest.mark.parametrize(
    ("code", "number", "text"),
    [
        ("0.0%", "0.256", "25.6%"),
        ("0 %", "0.285", "29 %"),
        ('"$"#,##0.00', "-1234.5", "-$1,234.50"),
        ("#,##0.00 [$€-407]", "1234.5", "1,234.50 €"),
        ("[$₹-4009] #,##0", "5000", "₹ 5,000"),
        (ACCOUNTING, "-1234.5", "$(1,234.50)"),
        (ACCOUNTING, "0", "$-"),
        ("0.00;[Red]-0.00", "-3.5", "-3.50"),
        ("0.00", "0.30000000000000004", "0.30"),
        ("0.00", "-0.001", "0.00"),
        ('0.0 "kg"', "12", "12.0 kg"),
        ('#,##0.0,,"M"', "12345678", "12.3M"),
        ("0.##", "3.50", "3.5"),
        ("00000", "123", "00123"),
        ("[h]:mm:ss", "1.25", "30:00:00"),
        ("[hh]:mm", "0.0625", "01:30"),
        ("[mm]:ss.0", "0.05", "72:00"),
    ],
)
def test_a_number_is_told_as_its_cell_shows_it(code: str, number: str, text: str) -> None:
    assert shown(code, number) == text


@pytest.mark.parametrize(
    "code",
    [
        "dd/mm/yyyy",
        "[$-409]d\\-mmm",
        "h:mm AM/PM",
        "0.00E+00",
        "# ?/?",
        "000-0000",
        "[>9]0;0.0",
        ";;;",
        "",
        "@",
    ],
)
def test_dates_and_what_is_not_understood_are_left_to_the_number_itself(code: str) -> None:
    assert shown(code, "45000.5") is None
    assert shown("0." + "0" * 400, "1") is None and shown("0%", "1e308") is None


def test_a_workbook_is_read_as_it_is_shown_and_formulas_by_their_result(read: Read) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    cells = [("Share", 0.256, "0.0%"), ("Work", timedelta(hours=30), "[h]:mm"), ("Plain", 0.5, "General")]
    cells += [("<Kilo & more>", 2, '0 "<kg> & more"'), ("Day", date(2026, 3, 5), "dd/mm/yyyy")]
    sheet.append(["What", "Value"])
    for name, value, code in cells:
        sheet.append([name, value])
        sheet.cell(sheet.max_row, 2).number_format = code
    assert read("a.xlsx", files.saved(made)).text == (
        "## Sheet\n\n| What | Value |\n| --- | --- |\n| Share | 25.6% |\n| Work | 30:00 |\n| Plain | 0.5 |\n"
        "| <Kilo & more> | 2 <kg> & more |\n| Day | 2026-03-05 |"
    )
