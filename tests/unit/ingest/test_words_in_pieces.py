"""Words that come in pieces: broken by a line's end, or by how a PDF draws them."""

from pathlib import Path

import pytest

from ingest.hyphens import rejoined
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read

PICTURES = Path(__file__).parent / "pictures"
PRINTED = PICTURES / "bangla-printed.pdf"
"""A page of Bangla as a browser prints it: each part of a cluster of letters is drawn by itself."""


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("the competi-\ntive serv-\n  ice laws", "the competitive service laws"),
        ("a long-\nterm plan and a long-term view", "a long-term plan and a long-term view"),
        ("mainte\u2010\nnance", "maintenance"),
        ("naïve-\nté, Größen-\nordnung, приме-\nчание", "naïveté, Größenordnung, примечание"),
        (
            "pages 12-\n14, Smith-\nJones, a dash -\nand more",
            "pages 12-\n14, Smith-\nJones, a dash -\nand more",
        ),
        ("the end of a part-\n\nAnd a new one", "the end of a part-\n\nAnd a new one"),
        ("- one\n- two", "- one\n- two"),
        ("both single- and\nmulti-\nhop", "both single- and\nmultihop"),
        ("a well-\nknown man is known and does well", "a well-known man is known and does well"),
        ("over\x02fitting of a fitting, over and over", "overfitting of a fitting, over and over"),
        ("Smith\x02Jones on COVID\x0219 is im\x02portant", "Smith-Jones on COVID-19 is important"),
    ],
)
def test_a_word_broken_at_a_line_s_end_is_whole(text: str, whole: str) -> None:
    assert rejoined(text) == whole


def test_a_word_broken_on_a_picture_is_found(read: Read) -> None:
    found = read("scan.png", files.picture("It applies to the competi-", "tive service of the state."))
    assert "the competitive service" in found.text


def test_bangla_words_that_a_browser_printed_are_whole(read: Read) -> None:
    found = read("leave.pdf", PRINTED.read_bytes())
    assert found.text == (
        "ছুটির নিয়ম\n\nপ্রত্যেক কর্মী বছরে ২০ দিন ছুটি পান। অসুস্থতার ছুটির জন্য ডাক্তারের সনদ লাগে; সর্বোচ্চ ১৪ দিন। "
        "ক্ষতিপূরণ,\nকর্তৃপক্ষ, শ্রদ্ধা, জ্ঞান, ব্যবস্থা।\n\nবিভাগ দিন\nহিসাব ১৫\nপ্রকৌশল ২০"
    )
    assert (found.title, found.pages) == ("ছুটির নিয়ম", 1)


def test_thai_and_hindi_that_a_browser_printed_say_nothing_twice(read: Read) -> None:
    found = read("ferry.pdf", (PICTURES / "thai-printed.pdf").read_bytes())
    assert " ".join(found.text.split()) == (
        "เรือออกเวลา 10:30 น. กรุณาซื้อตั๋วล่วงหน้าที่เคาน์เตอร์ ระบบใช้ PostgreSQL 18 น้ำหนักไม่เกินยี่สิบกิโลกรัม "
        "नौका सुबह 10:30 बजे बंदरगाह से निकलती है और टिकट की कीमत 25 रुपये है। PostgreSQL 18 का उपयोग किया गया है, और "
        "स्थिति की जानकारी प्रतिदिन प्रकाशित होती है।"
    )


def test_what_runs_from_right_to_left_is_in_the_order_in_which_it_is_read(read: Read) -> None:
    found = read("ferry.pdf", (PICTURES / "arabic-printed.pdf").read_bytes())
    assert [(block.kind, found.text[block.start : block.end]) for block in found.blocks] == [
        ("heading", "مواعيد العبارة"),
        (
            "paragraph",
            "تغادر العبارة في الساعة 10:30، وسعر التذكرة 12.50 يورو (للأطفال). يستخدم النظام PostgreSQL 18 مع\n"
            "Chroma، بالأمر make run.",
        ),
        (
            "table",
            "| المدينة | السعر |\n| --- | --- |\n| القاهرة الجديدة | 150 |\n| بغداد | 210 |",
        ),
        ("paragraph", "המחיר 25% פחות, ו-12.50 אירו לילדים, במערכת PostgreSQL 18 (בכל מחשב)."),
        ("paragraph", "کشتی در ساعت ۱۰:۳۰ از بندر به راه است."),
        ("paragraph", "The Arabic word سلام means peace."),
    ]


def test_a_minus_that_its_font_does_not_name_is_before_its_number(read: Read) -> None:
    found = read("cells.pdf", (PICTURES / "nameless-minus.pdf").read_bytes())
    assert found.text == "The loss was -0.9393 V and -12 V in all of the cells that were tried."


def test_signs_are_not_taken_for_ligatures(read: Read) -> None:
    said = 'A:node said "Graffiti!first" to key#one and a*b, in the motto of C:drive and of fifty attics.'
    assert read("signs.pdf", files.pdf(said)).text == said
