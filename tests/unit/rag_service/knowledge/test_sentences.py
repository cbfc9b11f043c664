"""Cutting text into sentences, in the scripts and the shapes that documents and answers come in."""

import random
import time
from itertools import pairwise

import pytest

from rag_service.knowledge.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(["Leave is 25 days.", "It grows.", "Does it?", "Yes!", "Well…", "No"], id="plain stops"),
        pytest.param(["Dr. Smith and Mrs. Ray met Prof. Li vs. St. Paul.", "Then they left."], id="titles"),
        pytest.param(["Use a tool, e.g. a saw, i.e. that one.", "Not two."], id="e.g."),
        pytest.param(["Take apples, etc. and pears, etc.", "Then cook."], id="etc. inside and at the end"),
        pytest.param(["Acme Inc. was sold by Roe et al. (2010).", "Why?"], id="Inc. and et al."),
        pytest.param(["It opens at 5 p.m. on Monday.", "It closes at 6 p.m.", "Come early."], id="p.m."),
        pytest.param(
            ["See No. 5, Fig. 3 and pp. 4–5.", "Is it true?", "No.", "It is not."], id="numbered things"
        ),
        pytest.param(["J. R. R. Smith lives in the U.S. today.", "Good."], id="initials"),
        pytest.param(["It is 3.5 m, or 1.000,5 m.", "Next."], id="decimals"),
        pytest.param(
            ["Use v2.3.1 or 10.0.0.1.", "Not v2.3.", "See a.b.c and file.txt."], id="versions and names"
        ),
        pytest.param(["He said “Stop.”", "She said 'Go!'", "(They left.)", "«Oui.»", "End."], id="quotes"),
        pytest.param(["**Stop.**", "_Go._", "`x = 1.`", "Fine."], id="emphasis"),
        pytest.param(["Wait ... what... is it?", "So..", "Right."], id="dots in mid-sentence"),
        pytest.param(
            ["Leave is 25 days. [1]", "It grows. [2][3]", "Both. [1, 2]", "End"], id="citations behind"
        ),
        pytest.param(["Leave is 25 days [1].", "It grows [2] [3]!", "End."], id="citations before"),
        pytest.param(["আমি যাই।", "তুমি কি যাও?", "হ্যাঁ॥", "শেষ"], id="danda"),
        pytest.param(["هل هذا صحيح؟", "نعم.", "انتهى"], id="Arabic"),
        pytest.param(["یہ درست ہے۔", "شکریہ۔"], id="Urdu"),
        pytest.param(["ሰላም።", "እንዴት ነህ፧", "ደህና"], id="Ethiopic"),
        pytest.param(["ประเทศไทยไม่มีจุดท้ายประโยค มีแต่ช่องว่าง"], id="Thai, which has no stops"),
    ],
)
def test_sentences_are_cut_where_a_reader_would(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(["假期是二十五天。", "很好！", "是吗？", "「是的。」", "完"], id="Chinese"),
        pytest.param(["休暇は二十五日です。[1]", "いいですか？", "３．５メートル｡"], id="Japanese"),
        pytest.param(["Leave is 25 days.[1]", " It grows.[2][3]", " End"], id="citations without a space"),
    ],
)
def test_sentences_may_follow_each_other_without_a_space(expected: list[str]) -> None:
    assert sentences("".join(expected)) == [sentence.strip() for sentence in expected]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wrapped\nlines are one. Two\n", ["Wrapped\nlines are one.", "Two"]),
        ("A title\n\nA paragraph\n \nAnother", ["A title", "A paragraph", "Another"]),
        (
            "Buy:\n- bread\n- two. Or three\n* milk\n\n+ tea\n",
            ["Buy:", "- bread", "- two.", "Or three", "* milk", "+ tea"],
        ),
        ("1. First. More\n2. Second\n10) Third", ["1. First.", "More", "2. Second", "10) Third"]),
        ("a. First\nb) Second", ["a. First", "b) Second"]),
        ("Do this. 2. Do that. 3. Rest.", ["Do this.", "2. Do that.", "3. Rest."]),
        ("# Dr. Who. A title\nText. More", ["# Dr. Who. A title", "Text.", "More"]),
        (
            "Rows\n| A | B |\n|---|:-:|\n| Kept. Then gone. | 2 |\n  |x|y|\nAfter. End",
            ["Rows", "| A | B |", "|---|:-:|", "| Kept. Then gone. | 2 |", "|x|y|", "After.", "End"],
        ),
        ("Said. [1]\n[2] A footnote.", ["Said. [1]", "[2] A footnote."]),
    ],
)
def test_lines_that_stand_for_themselves_end_a_sentence(text: str, expected: list[str], newline: str) -> None:
    expected = [sentence.replace("\n", newline) for sentence in expected]
    assert sentences(text.replace("\n", newline)) == expected


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t", "\u3000\u2028"])
def test_blank_text_has_no_sentences(text: str) -> None:
    assert sentence_spans(text) == []


PIECES = [
    "word", "Word", "Dr", "e.g", "No", "3", "v2.3.1", ".", ".", "..", "…", "!", "?", "।", "。", "؟", "[1]", "[1, 2]",
    "(", ")", '"', "”", "»", "」", "|", "|---|", "-", "*", "#", "##", "`", ",", ":", " ", " ", "  ", "\t", "\n", "\n",
    "\r\n", "\n\n", "\u00a0", "\u200d", "e\u0301", "👩‍👩‍👧", "বাংলা", "漢字", "ไทย", "العربية",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_in_order_disjoint_trimmed_and_hold_all_that_is_not_blank(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        text = "".join(chance.choices(PIECES, k=chance.randrange(1, 60)))
        spans = sentence_spans(text)
        for start, end in spans:
            assert text[start:end] == text[start:end].strip() != ""
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        outside = "".join(
            text[end:start]
            for end, start in zip(
                [0, *(e for _, e in spans)], [*(s for s, _ in spans), len(text)], strict=True
            )
        )
        assert outside.strip() == ""


@pytest.mark.parametrize(
    "unit", [".", " ", "a", "| ", "\n", "[1]", "1. ", "A.", "'", ".'", "。)", "#", ".[1", "|\n", "\n - "]
)
def test_a_hostile_text_takes_no_longer_than_its_length_allows(unit: str) -> None:
    text = unit * (50_000 // len(unit))
    started = time.process_time()
    sentence_spans(text)
    assert time.process_time() - started < 2
