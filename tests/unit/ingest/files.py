"""Real files of the formats that people upload, made with the libraries that make such files."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import docx
import openpyxl
import pptx
from fpdf import FPDF
from fpdf.encryption import StandardSecurityHandler
from pptx.util import Inches

ROWS = [["Product", "Days"], ["Camera", "14"], ["Lens | filter", "30"]]


def word(*, title: str = "", rows: Sequence[Sequence[str]] = ROWS) -> bytes:
    """Two sections, a tab, a table, a list."""
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading("Returns", 1)
    document.add_paragraph("Keep the receipt.\tThen come back! Use RAG_STATE_DIR & <name>.")
    document.add_heading("Periods", 2)
    table = document.add_table(rows=len(rows), cols=len(rows[0]))
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            table.cell(number, column).text = text
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Bullet")
    return _saved(document)


def slides(*titles: str) -> bytes:
    """A slide for each title, with a sentence; a table on the last."""
    presentation = pptx.Presentation()
    for number, title in enumerate(titles, 1):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = f"Sentence on slide {number}."
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(6), Inches(1)).table
    for number, text in enumerate(["Name", "Value", "speed", "fast"]):
        table.cell(number // 2, number % 2).text = text
    return _saved(presentation)


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return _saved(made)


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """A page for each text; a text's first line is its heading."""
    document = FPDF()
    if title:
        document.set_title(title)
    if password:
        document.set_encryption(owner_password="owner", user_password=password)
        assert isinstance(document._security_handler, StandardSecurityHandler)
    for text in pages:
        document.add_page()
        heading, _, body = text.partition("\n")
        if body:
            document.set_font("Helvetica", style="B", size=22)
            document.multi_cell(0, 12, heading, new_x="LMARGIN", new_y="NEXT")
            document.ln(6)
        document.set_font("Helvetica", size=11)
        document.multi_cell(0, 6, body or heading)
    return bytes(document.output())


def _saved(document: object) -> bytes:
    file = BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()
