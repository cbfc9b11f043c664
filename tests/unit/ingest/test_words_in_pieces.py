"""Words that come in pieces: broken by a line's end, or by how a PDF draws them."""

from pathlib import Path

import pytest

from ingest.hyphens import rejoined
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read

PRINTED = Path(__file__).parent / "pictures" / "bangla-printed.pdf"
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
