"""Builds the binary documents of `data/sample_kb/` from the plain sources in `data/sources/`.

    python data/build_sample_kb.py

The same sources give the same bytes: every date inside a file is `BUILT`, every zip entry is stamped alike.
Needs the packages of the `dev` extra. The text documents of `data/sample_kb/` are written by hand, not built.
"""

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import docx
import fpdf
import openpyxl
import pptx
import yaml
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from pptx.util import Pt

SOURCES, TARGET = Path(__file__).parent / "sources", Path(__file__).parent / "sample_kb"
BUILT = datetime(2026, 1, 1, tzinfo=UTC)
AUTHOR = "rag-service"
NEXT_LINE = {"new_x": "LMARGIN", "new_y": "NEXT"}


@dataclass(frozen=True)
class Block:
    """A part of a Markdown text; `marker` is a list item's bullet or number, a note is a block quote."""

    kind: Literal["heading", "paragraph", "note", "code", "table"]
    runs: list[tuple[str, bool]] = field(default_factory=list)  # a text, and whether it is code
    level: int = 0
    marker: str = ""
    rows: list[list[str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.runs)


def _runs(node: SyntaxTreeNode) -> list[tuple[str, bool]]:
    (inline,) = node.children or [node]
    return [(child.content or " ", child.type == "code_inline") for child in inline.children]


def _blocks(node: SyntaxTreeNode, marker: str = "") -> Iterator[Block]:
    for number, child in enumerate(node.children, start=1):
        if child.type == "heading":
            yield Block("heading", _runs(child), level=int(child.tag[1]))
        elif child.type == "paragraph":
            yield Block("note" if node.type == "blockquote" else "paragraph", _runs(child), 0, marker)
        elif child.type == "fence":
            yield Block("code", [(child.content.rstrip("\n"), True)])
        elif child.type == "table":
            lines = [line for part in child.children for line in part.children]
            yield Block(
                "table", rows=[[Block("code", _runs(cell)).text for cell in line.children] for line in lines]
            )
        elif child.type == "list_item":
            yield from _blocks(child, f"{number}." if node.type == "ordered_list" else "-")
        else:
            yield from _blocks(child, marker)


def parse(path: Path) -> list[Block]:
    """The blocks of a Markdown file, in order. The first is its title, a heading of level 1."""
    markdown = MarkdownIt("commonmark").enable("table")
    return list(_blocks(SyntaxTreeNode(markdown.parse(path.read_text("utf-8")))))


def column_widths(rows: list[list[str]], total: int) -> list[float]:
    """Widths in characters that add up to `total`: room for a column's longest word, the rest by need."""
    columns = [[str(cell) for cell in column] for column in zip(*rows, strict=True)]
    words = [max(len(word) for cell in column for word in cell.split()) + 2 for column in columns]
    wanted = [max(max(map(len, column)) - word, 1) for column, word in zip(columns, words, strict=True)]
    share = (total - sum(words)) / sum(wanted)
    return [word + share * more for word, more in zip(words, wanted, strict=True)]


def _contents(pdf: Any, sections: list[Any]) -> None:
    pdf.set_font("Helvetica", "B", 20)
    pdf.set_x(pdf.l_margin)
    pdf.cell(w=0, h=14, text="Table of contents", **NEXT_LINE)
    pdf.set_font("Helvetica", "", 10.5)
    for section in (section for section in sections if section.level == 0):
        link = pdf.add_link(page=section.page_number)
        pdf.cell(w=145, h=8, text=f"{section.name} ", link=link)
        pdf.cell(w=0, h=8, text=f" {section.page_number}", align="R", link=link, **NEXT_LINE)


def _pdf_block(pdf: Any, block: Block) -> None:
    if block.kind == "table":
        pdf.set_font("Helvetica", "", 9)
        # Filled and not bold: extraction takes a bold line for a heading.
        look = {"headings_style": fpdf.FontFace(fill_color=(226, 232, 240)), "line_height": 4.6, "padding": 2}
        with pdf.table(block.rows, col_widths=column_widths(block.rows, 96), text_align="LEFT", **look):
            pass
        pdf.ln(4)
    elif block.kind == "code":
        pdf.set_font("Courier", "", 9)
        pdf.set_fill_color(243, 244, 246)
        pdf.multi_cell(w=0, h=4.6, text=block.text, align="L", fill=True, padding=2, **NEXT_LINE)
        pdf.ln(3)
    elif block.kind == "heading":
        pdf.set_font("Helvetica", "B", 20 if block.level == 2 else 14)
        pdf.start_section(block.text, level=block.level - 2)
        pdf.multi_cell(w=0, h=12, text=block.text, align="L", **NEXT_LINE)
        pdf.ln(1)
    else:
        look = {"indent": 6, "bullet_string": block.marker} if block.marker else {}
        pdf.set_font("Helvetica", "", 10.5)  # the marker's; each run sets its own
        with pdf.text_columns() as columns, columns.paragraph(None, 1.35, False, 0, 2.8, **look) as paragraph:
            for run, is_code in block.runs:
                pdf.set_font("Courier" if is_code else "Helvetica", "", 10.5)
                paragraph.write(run)


def build_pdf(blocks: list[Block]) -> bytes:
    """A4: a title page with what stands above the first chapter, contents, chapters, page numbers."""
    pdf: Any = fpdf.FPDF(format="A4")
    pdf.set_margins(22, 20, 22)
    pdf.set_auto_page_break(True, 22)
    pdf.set_title(blocks[0].text)
    pdf.set_author(AUTHOR)
    pdf.set_lang("en")
    pdf.set_creation_date(BUILT)

    def footer() -> None:
        if pdf.page_no() > 2:
            pdf.set_y(-14)
            pdf.set_font("Helvetica", "", 8.5)
            pdf.cell(w=0, h=6, text=f"{pdf.page_no()}", align="C")

    pdf.footer = footer
    pdf.add_page()
    pdf.set_y(90)
    pdf.set_font("Helvetica", "B", 30)
    pdf.multi_cell(w=0, h=20, text=blocks[0].text, align="L", **NEXT_LINE)
    for block in blocks[1:]:
        if block.text.startswith("1. ") and block.level == 2:
            pdf.add_page()
            pdf.insert_toc_placeholder(_contents)
        elif block.kind == "heading" and pdf.will_page_break(80 if block.level == 2 else 40):
            pdf.add_page()
        elif block.kind == "heading":
            pdf.ln(8 if block.level == 2 else 3)
        _pdf_block(pdf, block)
    return bytes(pdf.output())


def _saved(document: Any, properties: Any, title: str) -> bytes:
    """The bytes of an Office file, with every date and zip time set to `BUILT`."""
    properties.title, properties.author, properties.creator = title, AUTHOR, AUTHOR
    written, packed = io.BytesIO(), io.BytesIO()
    document.save(written)
    stamp = BUILT.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            entry = zipfile.ZipInfo(name, BUILT.timetuple()[:6])
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            new.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def build_docx(blocks: list[Block]) -> bytes:
    """Headings, lists and tables in Word's own styles."""
    document: Any = docx.Document()
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level)
        elif block.kind == "table":
            table = document.add_table(len(block.rows), len(block.rows[0]), "Light Grid Accent 1")
            for row, cells in zip(table.rows, block.rows, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
            document.add_paragraph()
        else:
            style = {"": "Normal", "-": "List Bullet"}.get(block.marker, "List Number")
            paragraph = document.add_paragraph(style=style)
            for run, is_code in block.runs:
                paragraph.add_run(run).font.name = "Courier New" if is_code else None
    return _saved(document, document.core_properties, blocks[0].text)


def build_xlsx(source: dict[str, Any]) -> bytes:
    """A sheet for each entry of `sheets`: a bold, frozen header row, then the rows."""
    workbook: Any = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for sheet in source["sheets"]:
        page = workbook.create_sheet(sheet["name"])
        rows = [sheet["columns"], *sheet["rows"]]
        for row in rows:
            page.append(row)
        for number, width in enumerate(column_widths(rows, 130), start=1):
            page.column_dimensions[get_column_letter(number)].width = width + 2
        for cell in (cell for line in page.iter_rows() for cell in line):
            cell.font = Font(bold=cell.row == 1)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        page.freeze_panes = "A2"
    return _saved(workbook, workbook.properties, source["title"])


def build_pptx(blocks: list[Block]) -> bytes:
    """A slide for each heading: level 1 the title slide, level 2 a slide of points with its spoken notes."""
    deck: Any = pptx.Presentation()
    for block in blocks:
        if block.kind == "heading":
            slide = deck.slides.add_slide(deck.slide_layouts[block.level - 1])
            slide.shapes.title.text = block.text
        elif block.kind == "note":
            slide.notes_slide.notes_text_frame.text = block.text
        else:
            frame = slide.placeholders[1].text_frame
            paragraph = frame.add_paragraph() if frame.text else frame.paragraphs[0]
            paragraph.text, paragraph.font.size = block.text, Pt(22)
    return _saved(deck, deck.core_properties, blocks[0].text)


def main() -> None:
    """Build every file anew and say which."""
    sheets = yaml.safe_load((SOURCES / "limits-and-error-codes.yaml").read_text("utf-8"))
    built = {
        "operators-handbook.pdf": build_pdf(parse(SOURCES / "operators-handbook.md")),
        "roles-and-permissions.docx": build_docx(parse(SOURCES / "roles-and-permissions.md")),
        "introduction-for-admins.pptx": build_pptx(parse(SOURCES / "introduction-for-admins.md")),
        "limits-and-error-codes.xlsx": build_xlsx(sheets),
    }
    for name, data in built.items():
        (TARGET / name).write_bytes(data)
        sys.stdout.write(f"{name}  {len(data):,} bytes\n")


if __name__ == "__main__":
    main()
