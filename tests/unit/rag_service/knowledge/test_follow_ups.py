"""Questions that lean on others are helped, those that stand alone hardly."""

from collections import Counter

import numpy as np
import pytest

from rag_service.knowledge.follow_ups import (
    FADING,
    STEP,
    TERMS,
    VECTOR,
    lent_terms,
    lent_vector,
    need,
    repeated,
    says_enough,
)

FREQUENCIES = {
    "how": 90,
    "is": 95,
    "it": 95,
    "deadly": 40,
    "lobular": 2,
    "carcinoma": 2,
    "spread": 3,
    "treat": 5,
}


def test_the_less_a_question_says_the_more_help_it_needs() -> None:
    alone = need(["how", "lobular", "carcinoma", "spread", "treat"], 100, FREQUENCIES)
    leaning = need(["how", "deadly", "is", "it"], 100, FREQUENCIES)
    assert 0 < alone < 0.8
    assert leaning == 1.0
    assert need([], 0, {}) == 1.0
    assert 0 < need(["a"] * 3 + ["b", "c", "d"], 0, {}) <= 1.0  # nothing is known of the words


def test_borrowed_terms_fade_and_never_outweigh_the_question() -> None:
    weights = lent_terms(["deadly", "is", "is"], [["cancer", "is"], ["lobular", "cancer"]], 1.0)
    assert weights == pytest.approx({"deadly": 1.0, "is": 2.0, "lobular": TERMS, "cancer": TERMS})
    assert lent_terms(["x"], [["old"], ["new"]], 0.5)["old"] == pytest.approx(0.5 * TERMS * FADING)
    assert lent_terms(["x", "x"], [], 1.0) == {"x": 2.0}


def test_weights_become_repetitions() -> None:
    assert Counter(repeated({"own": 1.0, "lent": 0.15, "faint": 0.01})) == {"own": STEP, "lent": 3}


def test_the_mixed_vector_is_of_unit_length_and_near_the_question() -> None:
    question, first, last = np.eye(3, dtype=np.float32)
    mixed = lent_vector(question, np.stack([first, last]), 1.0)
    assert mixed.dtype == np.float32
    assert np.linalg.norm(mixed) == pytest.approx(1.0)
    assert mixed / mixed[0] == pytest.approx([1.0, VECTOR * FADING, VECTOR])
    assert lent_vector(question, np.zeros((0, 3), np.float32), 1.0) == pytest.approx(question)


@pytest.mark.parametrize(
    ("question", "asked", "enough"),
    [
        ("Is it treatable?", ["is", "it", "treat"], False),
        ("How is it treated, and does it spread?", ["how", "is", "it", "treat", "spread"], False),
        (
            "How does lobular carcinoma spread and how is it treated?",
            ["how", "lobular", "carcinoma", "spread", "is", "it", "treat"],
            True,
        ),
        # In a language that the documents are not written in, no word tells anything.
        (
            "Und wie kann man das dann wohl behandeln?",
            ["und", "wie", "kann", "man", "das", "dann", "wohl", "behandeln"],
            False,
        ),
        (
            "癌はどう治療しますか",
            ["lobular", "carcinoma", "spread", "treat", "deadly"],
            False,
        ),  # pairs of letters
        ("", [], False),
    ],
)
def test_a_question_says_enough_only_by_rare_words_that_the_documents_know(
    question: str, asked: list[str], enough: bool
) -> None:
    assert says_enough(question, asked, 1000, FREQUENCIES) is enough
