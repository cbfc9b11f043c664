"""Real files of the formats that people upload, made with the libraries that make such files."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import openpyxl
import pptx
import pptx.chart.chart
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from fpdf import FPDF
from fpdf.encryption import StandardSecurityHandler
from PIL import Image, ImageDraw, ImageFont
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
    return saved(document)


def slides(*titles: str, notes: str = "") -> bytes:
    """A slide for each title, with a sentence; a table, and notes if there are any, on the last."""
    presentation = pptx.Presentation()
    for number, title in enumerate(titles, 1):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = f"Sentence on slide {number}."
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(6), Inches(1)).table
    for number, text in enumerate(["Name", "Value", "speed", "fast"]):
        table.cell(number // 2, number % 2).text = text
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    return saved(presentation)


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return saved(made)


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


def picture(*lines: str, kind: str = "PNG", more: Sequence[str] = ()) -> bytes:
    """A picture of lines of text; in a TIFF a page of its own for each of `more`."""
    file = BytesIO()
    first, *others = [_drawn(lines), *(_drawn([line]) for line in more)]
    first.save(file, kind, **({"save_all": True, "append_images": others} if others else {}))
    return file.getvalue()


def blank_picture(side: int) -> bytes:
    """A PNG of some kilobytes that is as large as this when it is unpacked."""
    file = BytesIO()
    Image.new("1", (side, side), 1).save(file, "PNG")
    return file.getvalue()


def _drawn(lines: Sequence[str]) -> Image.Image:
    image = Image.new("RGB", (1000, 60 + 70 * len(lines)), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((30, 30 + 70 * number), line, "black", ImageFont.load_default(40))
    return image


def scanned_pdf(*pages: str | bytes) -> bytes:
    """A page for each text, and one for each picture."""
    document = FPDF()
    document.set_font("Helvetica", size=11)
    for page in pages:
        document.add_page()
        if isinstance(page, bytes):
            document.image(BytesIO(page), w=180)
        else:
            document.multi_cell(0, 6, page)
    return bytes(document.output())


def packed(members: Mapping[str, str]) -> bytes:
    """A ZIP archive."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def word_of(text: str, head: str = "") -> bytes:
    """The least Word file, with what the text is in its XML."""
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    body = f"<w:body><w:p><w:r>{text}</w:r></w:p></w:body>"
    document = f'{head}<w:document xmlns:w="{main}">{body}</w:document>'
    return packed({"[Content_Types].xml": types, "word/document.xml": document})


def saved(document: object) -> bytes:
    file = BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def word_with_chart(drawn: pptx.chart.chart.Chart, before: str, behind: str) -> bytes:
    """A chart as PowerPoint makes it, in a Word file, in the first of two paragraphs; the second is a table."""
    document = docx.Document()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/chart"
    content = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
    part = Part(PackURI("/word/charts/chart1.xml"), content, drawn.part.blob, document.part.package)
    run = document.add_paragraph(before).add_run()
    run._r.append(
        parse_xml(
            '<w:drawing xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
            'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
            'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
            f'<c:chart r:id="{document.part.relate_to(part, kind)}"/></w:drawing>'
        )
    )
    document.add_table(rows=1, cols=1).cell(0, 0).text = behind
    sorted_by_name = BytesIO()  # what refers to charts then lies before the text
    with ZipFile(BytesIO(saved(document))) as old, ZipFile(sorted_by_name, "w") as new:
        for name in sorted(old.namelist()):
            new.writestr(name, old.read(name))
    return sorted_by_name.getvalue()


def epub(body: str) -> bytes:
    """A book of one chapter."""
    container = (
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata/><manifest>'
        '<item id="one" href="one.html" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="one"/></spine></package>'
    )
    book = BytesIO()
    with ZipFile(book, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("book.opf", package)
        archive.writestr("one.html", f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>')
    return book.getvalue()
