"""Letters of a Persian word that stand apart in a PDF, which holds nothing between them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.pdf_joiners import APART, part
from tests.unit.ingest.conftest import Read

PRINTED = Path(__file__).parent / "pictures" / "persian-printed.pdf"
"""A page of Persian as a browser prints it."""


@dataclass
class Letter:
    text: str
    font: str
    width: float


def words(said: str, *, is_wide: bool = True) -> list[list[Letter]]:
    """Words drawn in a font whose letters are wider where they join nothing behind them, unless all are the same."""
    drawn = []
    for word in said.split():
        letters: list[Letter] = []
        for sign, behind in zip(word, [*word[1:], " "], strict=True):
            width = 0.8 if behind in (" ", APART) and is_wide else 0.4
            letters += [] if sign == APART else [Letter(sign, "Font", width)]
        drawn.append(letters)
    return drawn


def told(drawn: list[list[Letter]]) -> str:
    part(drawn)
    return " ".join("".join(letter.text for letter in word) for word in drawn)


def test_a_letter_within_a_word_that_looks_as_at_an_end_stands_apart() -> None:
    said = "می‌رود می‌آید نمی‌شود میان سیل پی گیلکی رود آید شود"
    assert told(words(said)) == said


@pytest.mark.parametrize(
    ("said", "is_wide"),
    [
        ("می‌رود میان پی رود", False),  # a font in which every shape is as wide
        ("می‌رود می‌آید پی رود آید", True),  # never seen joined: the font may be such a one
        ("می‌رود میان سیل رود", True),  # never seen at an end
        ("می‌رود میان سیل پی", True),  # nothing begins with the next letter
        ("في\u200cها ميان في هم", True),  # Arabic letters alone
    ],
)
def test_where_the_shapes_do_not_tell_words_stay_whole(said: str, is_wide: bool) -> None:
    assert told(words(said, is_wide=is_wide)) == said.replace(APART, "")


def test_shapes_are_compared_within_a_font() -> None:
    drawn = [*words("می‌رود میان رود"), [Letter("پ", "Other", 0.4), Letter("ی", "Other", 0.8)]]
    assert APART not in told(drawn)


def test_a_part_of_a_ligature_that_happens_to_be_as_wide_as_an_end_is_joined() -> None:
    drawn = words("علم سیل دل کیلو مال")
    drawn[0][1:] = [Letter("ل", "Font", 0.8), Letter("م", "Font", 0.8)]
    assert APART not in told(drawn)


def test_persian_that_a_browser_printed_keeps_what_parts_its_letters(read: Read) -> None:
    text = read("library.pdf", PRINTED.read_bytes()).text
    parted = {word.strip("،.؛") for word in text.split() if APART in word}
    assert parted == {
        "کتاب‌خانهٔ",
        "می‌شود",
        "می‌توانند",
        "هم‌زمان",
        "آن‌ها",
        "کتاب‌ها",
        "می‌پردازد",
        "دانش‌آموزان",
        "می‌دهند",
        "نمی‌شوند",
        "نمی‌توان",
    }
