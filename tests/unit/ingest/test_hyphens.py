"""Words that a line's end broke, on scans and in PDFs."""

import pytest

from ingest.hyphens import rejoined
from tests.unit.ingest import files
from tests.unit.ingest.conftest import Read


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
