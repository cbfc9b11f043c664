"""Every kind of file that we promise to read: its text, its structure, its title, its pages."""

import io
from zipfile import ZipFile

import docx
import pptx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.blocks import Extraction
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read

SENTENCE = "Every document is read once and then cut into chunks. "


def pieces(found: Extraction, kind: str) -> list[str]:
    return [found.text[block.start : block.end] for block in found.blocks if block.kind == kind]


def test_markdown_stays_as_it_was_written(read: Read) -> None:
    text = "# The **Title**\n\nUse `a_b` \\* and <b>.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    found = read("guide.md", text)
    assert (found.text, found.media_type, found.title) == (text, "text/markdown", "The Title")
    assert [block.kind for block in found.blocks] == ["heading", "paragraph", "table"]
    assert read("guide.MARKDOWN", "no heading").title is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "latin-1"])
def test_plain_text_is_read_in_its_encoding_and_has_no_structure(read: Read, encoding: str) -> None:
    text = "# Über die Straße\n\nDie Prüfung ist größer als üblich.\n"
    found = read("notiz.txt", text.encode(encoding))
    assert (found.text, found.media_type, found.title) == (text, "text/plain", None)
    assert len(pieces(found, "paragraph")) == 2


def test_a_file_of_no_known_name_that_is_text_is_read_as_text(read: Read) -> None:
    assert read("Makefile", "run:\n\techo\n").media_type == "text/plain"
    assert read("server.log", "line\x00 one\x1b[0m\n" + "line\n" * 50).text.startswith("line one[0m\n")


def test_html_loses_its_markup_scripts_and_head_but_not_its_title(read: Read) -> None:
    found = read(
        "page.html",
        "<!doctype html><html><head><title>Returns &amp; refunds</title><meta name=description content=no>"
        "<link rel=canonical href=/x><style>p {}</style></head><body><h1>How</h1><p>Keep the <b>receipt</b>!"
        "<script>alert(1)</script></p><ul><li>one</li><li>two</li></ul><table><tr><th>Product</th><th>Days for it"
        "</th></tr><tr><td>Camera</td><td>14</td></tr></table><pre>a  b</pre></body></html>",
    )
    assert (found.title, found.media_type) == ("Returns & refunds", "text/html")
    assert found.text.startswith("# How\n\nKeep the **receipt**!")
    assert pieces(found, "list") == ["- one\n- two"]
    assert pieces(found, "table") == ["| Product | Days for it |\n| --- | --- |\n| Camera | 14 |"]
    assert pieces(found, "code") == ["```\na  b\n```"]
    assert not {"alert", "canonical", "description"} & set(found.text.replace("(", " ").split())


def test_html_is_known_by_its_content_and_read_in_the_encoding_it_declares(read: Read) -> None:
    page = '<html><meta charset="iso-8859-2"><p>Zażółć gęślą jaźń</p></html>'
    assert read("download", page.encode("iso-8859-2")).text.strip() == "Zażółć gęślą jaźń"


def test_a_picture_inside_a_page_leaves_only_what_it_shows(read: Read) -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 1_000
    found = read(
        "page.htm", f'<p>Before</p><img alt="our logo" src="{picture}"><img src="x.png"><p>After</p>'
    )
    assert found.text.split() == ["Before", "our", "logo", "After"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'Product,Days\n"Camera, large",14\nLens,30\n'),
        ("a.csv", "Product;Days\r\nCamera, large;14\r\nLens;30\r\n"),
        ("a.tsv", "Product\tDays\nCamera, large\t14\nLens\t30\n"),
    ],
    ids=["comma", "semicolon", "tab"],
)
def test_separated_values_become_a_table_with_its_header(read: Read, name: str, data: str) -> None:
    table = "| Product | Days |\n| --- | --- |\n| Camera, large | 14 |\n| Lens | 30 |"
    assert pieces(read(name, data), "table") == [table]


def test_json_is_read_with_its_keys(read: Read) -> None:
    found = read("a.json", '{"product": "Camera & lens", "days_to_return": 14}')
    assert "product: Camera & lens" in found.text
    assert "days_to_return: 14" in found.text
    listed = read("b.json", '[{"name": "Größe"}, {"name": "two"}]')
    assert [block.kind for block in listed.blocks] == ["code"]
    assert "Größe" in listed.text


def test_xml_keeps_together_what_belongs_together(read: Read) -> None:
    text = "<?xml version='1.0'?>\n<countries>\n  <country><name>Trinidad &amp; Tobago</name></country>\n</countries>\n"
    found = read("facts.xml", text)
    assert (found.text, found.media_type) == (text, "application/xml")
    assert [block.kind for block in found.blocks] == ["code"]


def test_an_xml_bomb_is_not_set_off(read: Read) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "boom">{entities}]><x>&e11;</x>'
    assert len(read("bomb.xml", bomb).text) == len(bomb)


def test_a_word_file_keeps_headings_tables_signs_and_the_gaps_of_tabs(read: Read) -> None:
    found = read("handbook.docx", files.word(title="R&D handbook"))
    assert found.title == "R&D handbook"
    assert pieces(found, "heading") == ["# Returns", "## Periods"]
    assert pieces(found, "table") == [
        "| Product | Days |\n| --- | --- |\n| Camera | 14 |\n| Lens \\| filter | 30 |"
    ]
    assert "Keep the receipt. Then come back! Use RAG_STATE_DIR & <name>." in found.text
    assert read("other.docx", files.word()).title == "Returns"


def test_slides_have_numbers_headings_and_tables(read: Read) -> None:
    found = read("talk.pptx", files.slides("Welcome", "R&D <now>", "The end"))
    assert (found.title, found.pages) == ("Welcome", 3)
    assert [(found.text[block.start : block.end], block.page) for block in found.blocks] == [
        ("## Welcome", 1),
        ("Sentence on slide 1.", 1),
        ("## R&D <now>", 2),
        ("Sentence on slide 2.", 2),
        ("## The end", 3),
        ("Sentence on slide 3.", 3),
        ("| Name | Value |\n| --- | --- |\n| speed | fast |", 3),
    ]


def test_each_sheet_of_a_workbook_is_a_table_under_its_name(read: Read) -> None:
    sheets: dict[str, list[list[object]]] = {
        "Prices": [["Product", "Price"], ["Camera & lens", 12.5], [None, None], ["Bag", 3]],
        "Stock": [["Product", "Count"], ["Camera", 4]],
    }
    found = read("shop.xlsx", files.workbook(sheets))
    assert pieces(found, "heading") == ["## Prices", "## Stock"]
    assert pieces(found, "table") == [
        "| Product | Price |\n| --- | --- |\n| Camera & lens | 12.5 |\n| Bag | 3 |",
        "| Product | Count |\n| --- | --- |\n| Camera | 4 |",
    ]
    assert found.title is None  # the name of its first sheet is no title


def test_a_pdf_is_read_with_its_pages_and_headings(read: Read) -> None:
    found = read(
        "guide.pdf", files.pdf(f"Reading\n{SENTENCE * 9}", f"Cutting\n{SENTENCE * 9}", title="The guide")
    )
    assert (found.title, found.pages, list(found.warnings)) == ("The guide", 2, [])
    headings = [block for block in found.blocks if block.kind == "heading"]
    assert [(found.text[block.start : block.end], block.page) for block in headings] == [
        ("Reading", 1),
        ("Cutting", 2),
    ]
    assert " ".join(found.text.split()).count(SENTENCE.strip()) == 18


def test_a_page_without_text_is_told(read: Read) -> None:
    found = read("scan.pdf", files.pdf(f"One\n{SENTENCE}", "", f"Three\n{SENTENCE}"))
    assert list(found.warnings) == ["No text on page 2: nothing was recognised on it either."]
    assert {block.page for block in found.blocks} == {1, 3}


def test_a_message_is_read_part_by_part_in_the_encoding_of_each(read: Read) -> None:
    message = (
        "From: Ana <ana@example.org>\r\nTo: bo@example.org\r\nSubject: R&D\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Es kostet 5 €.\r\n\r\nViele Grüße!\r\n"
    )
    found = read("mail.eml", message.encode("iso-8859-15"))
    assert found.text.startswith("# R&D\n\nFrom: Ana <ana@example.org>\nTo: bo@example.org\n\nEs")
    assert found.text.rstrip().endswith("Es kostet 5 €.\n\nViele Grüße!")


@pytest.mark.parametrize(
    "title", ["Untitled document", "PowerPoint Presentation", "Presentation1", "Microsoft Word", "  "]
)
def test_a_title_that_a_program_made_up_is_no_title(read: Read, title: str) -> None:
    assert read("a.docx", files.word(title=title)).title == "Returns"
    assert read("b.docx", files.word(title="Microsoft Word - Plan.doc")).title == "Plan.doc"


def test_what_nobody_sees_is_in_no_text_and_no_title(read: Read) -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey")
    for name, data in [
        ("a.md", f"# Ti{hidden}tle\x07\n\nTe\x00xt{hidden}" + " more" * 50),
        ("a.txt", f"Te\x01xt{hidden}"),
        ("a.html", f"<title>Ti{hidden}tle</title><p>Te\x02xt{hidden}</p>"),
        ("a.csv", f"Te\x03xt{hidden},b\n1,2\n"),
    ]:
        found = read(name, data)
        assert "Text" in found.text
        assert found.title in ("Title", None)
        assert not any(ord(char) < 9 or ord(char) >= 0xE0000 for char in found.text)


def test_what_a_speaker_noted_stands_below_its_slide(read: Read) -> None:
    found = read("talk.pptx", files.slides("One", "Two", notes="R&D asks for 14 days.\nTell them why."))
    last = found.blocks[-1]
    assert (last.kind, last.page) == ("paragraph", 2)
    assert found.text[last.start : last.end] == "Notes: R&D asks for 14 days.\nTell them why."
    assert found.text.index("One") < found.text.index("Two") < last.start


def test_a_list_that_is_made_by_its_style_keeps_its_marks(read: Read) -> None:
    document = docx.Document()
    document.add_heading("Steps", 1)
    for style in ("List Bullet", "List Number 2"):
        own = document.styles.add_style(f"My {style}", WD_STYLE_TYPE.PARAGRAPH)
        own.base_style = document.styles[style]
        document.add_paragraph("Camera", style=own)
        document.add_paragraph("Lens", style=style)
        document.add_paragraph("In between.")
    found = read("list.docx", files.saved(document))
    assert found.text.strip() == "# Steps\n\n" + "\n\n".join(["- Camera\n- Lens", "In between."] * 2)


def test_a_title_that_the_heads_of_later_pages_repeat_stays(read: Read) -> None:
    pages = [
        f"Summaries of Logs\nOn page {word} something else is said."
        for word in ["one", "two", "three", "four", "five"]
    ]
    found = read("paper.pdf", files.pdf(*pages))
    assert found.text.count("Summaries of Logs") == 5
    said = [found.text[block.start : block.end] for block in found.blocks]
    assert said.count("Summaries of Logs") == 1 and found.title == "Summaries of Logs"


def test_a_damaged_chart_does_not_cost_a_slide_its_notes(read: Read) -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    drawn = CategoryChartData()
    drawn.categories = ["East"]
    drawn.add_series("2024", (1,))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(1), Inches(5), Inches(4), drawn)
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    sound, damaged = io.BytesIO(files.saved(presentation)), io.BytesIO()
    with ZipFile(sound) as old, ZipFile(damaged, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            is_chart = item.filename.startswith("ppt/charts/chart")
            new.writestr(item, content.replace(b'idx="0"', b'idx="x"') if is_chart else content)
    assert "Notes: Say it slowly." in read("sales.pptx", damaged.getvalue()).text


def test_what_a_chart_draws_is_a_table_below_its_slide(read: Read) -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Sales"
    bars = CategoryChartData(number_format="0%")
    bars.categories = ["East | North", "চট্টগ্রাম"]
    bars.add_series("2024", (0.25, None))
    bars.add_series("2025", (0.5, 0.125))
    place = (Inches(1), Inches(1), Inches(5), Inches(4))
    drawn = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, bars).chart
    drawn.has_title = True
    drawn.chart_title.text_frame.text = "Share by region"
    dots = XyChartData()
    dots.add_series("Weight").add_data_point(1.5, 70)
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *place, dots)
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    found = read("sales.pptx", files.saved(presentation))
    assert found.text == (
        "## Sales\n\nChart: Share by region\n\n|  | 2024 | 2025 |\n| --- | --- | --- |\n"
        "| East \\| North | 25% | 50% |\n| চট্টগ্রাম | | 13% |\n\n|  | Weight |\n| --- | --- |\n| 1.5 | 70 |\n\n"
        "Notes: Say it slowly."
    ).replace("|  |", "| |")
    assert {block.page for block in found.blocks} == {1}

    word = files.word_with_chart(drawn, "In R&D, they grew.", "behind")
    found = read("sales.docx", word)
    assert found.text.strip().replace("|  |", "| |") == (
        "In R&D, they grew.\n\nChart: Share by region\n\n| | 2024 | 2025 |\n| --- | --- | --- |\n"
        "| East \\| North | 25% | 50% |\n| চট্টগ্রাম | | 13% |\n\n| behind |\n| --- |"
    )
    single = io.BytesIO()  # as good as double ones, and written by some programs
    with ZipFile(io.BytesIO(word)) as old, ZipFile(single, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part.replace(b'"', b"'") if name.endswith("document.xml.rels") else part)
    assert read("sales.docx", single.getvalue()).text == found.text


def test_a_row_that_begins_further_right_keeps_its_values_below_their_headers(read: Read) -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=3)
    for cell, text in zip(table.row_cells(0), ("City", "Euro", "Day"), strict=True):
        cell.text = text
    row = table.rows[1]._tr
    row.remove(row.tc_lst[0])
    row.get_or_add_trPr().append(OxmlElement("w:gridBefore", {qn("w:val"): "1"}))
    row.tc_lst[0].p_lst[0].add_r().text = "25"
    assert "| | 25 | |" in read("prices.docx", files.saved(document)).text


def test_a_book_s_links_from_chapter_to_chapter_are_their_words(read: Read) -> None:
    book = files.epub(
        '<p>See <a href="two.html#rinks">Rinks</a> and <a href="https://a.example/">more</a>.</p>'
    )
    assert read("sports.epub", book).text.strip() == "See Rinks and [more](https://a.example/)."
