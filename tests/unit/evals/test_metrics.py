"""Measures against values computed by hand; the worked examples are those of the sample's own evaluator's guide."""

import math
import random
import re
import string
import unicodedata

import pytest

from evals import metrics


def test_recall_is_the_share_of_relevant_passages_found() -> None:
    assert metrics.recall_at([True, True, False]) == pytest.approx(2 / 3)
    assert metrics.recall_at([False]) == 0
    assert metrics.recall_at([]) is None


def test_mrr_of_ranks_1_2_4_and_nowhere_is_0_4375() -> None:
    runs = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert sum(metrics.reciprocal_rank(run, 10) for run in runs) / 4 == 0.4375


def test_a_first_hit_behind_k_counts_as_none() -> None:
    assert metrics.reciprocal_rank([0, 0, 1], 3) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank([0, 0, 1], 2) == 0


def test_graded_ndcg_of_gains_3_0_2() -> None:
    # DCG 3/log2(2) + 0/log2(3) + 2/log2(4) = 4; ideal 3/log2(2) + 2/log2(3) = 4.262.
    assert metrics.dcg([3, 0, 2], 3) == pytest.approx(4)
    assert metrics.ndcg([3, 0, 2], [2, 3], 3) == pytest.approx(0.939, abs=5e-4)


def test_binary_ndcg_by_hand() -> None:
    # Relevant at ranks 2 and 3, one of three relevant not found: (1/log2(3) + 1/2) / (1 + 1/log2(3) + 1/2).
    gained = 1 / math.log2(3) + 0.5
    assert metrics.ndcg([0, 1, 1], [1, 1, 1], 5) == pytest.approx(gained / (1 + gained))


def test_ndcg_cuts_the_ideal_at_k_too() -> None:
    assert metrics.ndcg([1], [1, 1, 1], 1) == 1
    assert metrics.ndcg([], [1], 5) == 0
    assert metrics.ndcg([0, 0], [], 5) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The X-Accel-Buffering: no!", ["xaccelbuffering", "no"]),
        ("A theatre, an act and the end.", ["theatre", "act", "and", "end"]),
        ("£5 × 3 = “15” €", ["5", "3", "15"]),
        ("It is 1.5 or 15, i.e. 1,500.", ["it", "is", "1.5", "or", "15", "ie", "1500"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("প্রশ্ন সর্বোচ্চ ৪,০০০ অক্ষরের।", ["প্রশ্ন", "সর্বোচ্চ", "4000", "অক্ষরের"]),
        ("নিয়ম নিয়ম", ["নিয়ম"] * 2),  # য় as one code point and as two
        ("র‌্যাব", ["র্যাব"]),  # a joiner shapes the letter and is none
        ("cafe\u0301 caf\u00e9", ["caf\u00e9"] * 2),
        ("—…!?", []),
    ],
)
def test_normalisation(text: str, words: list[str]) -> None:
    assert metrics.normalise(text) == [unicodedata.normalize("NFC", word) for word in words]


def test_bangla_keeps_its_vowel_signs() -> None:
    assert metrics.normalise("কি") != metrics.normalise("কী")


def test_contains_answer_compares_whole_words() -> None:
    assert metrics.contains_answer("It is kept for 150 days.", ["15"]) == 0
    assert metrics.contains_answer("It costs 1.5 GB.", ["15", "5 GB"]) == 0
    assert metrics.contains_answer("It is kept for 15 days.", ["90 days", "15 days"]) == 1
    assert metrics.contains_answer("সর্বোচ্চ ৪,০০০ অক্ষরের হতে পারে", ["4000 অক্ষরের"]) == 1
    assert metrics.contains_answer("anything", []) is None


def test_token_f1_by_hand() -> None:
    # All 3 words of the reference, 3 of the answer's 5: P .6, R 1, F1 2 × .6 × 1 / 1.6.
    assert metrics.token_f1("refunds arrive within thirty days", ["within thirty days"]) == pytest.approx(
        0.75
    )
    assert metrics.token_f1("b b", ["b"]) == pytest.approx(2 / 3)  # a word counts as often as both have it
    assert metrics.token_f1("x", ["y", "x"]) == 1
    assert metrics.token_f1("the", ["a"]) == 1  # nothing is left of both
    assert metrics.token_f1("the", ["b"]) == 0
    assert metrics.token_f1("x", []) is None


def test_exact_match_is_after_normalisation() -> None:
    assert metrics.exact_match("The Answer!", ["answer"]) == 1
    assert metrics.exact_match("The answers", ["answer"]) == 0


def test_citation_marks_are_no_words_of_an_answer() -> None:
    assert metrics.normalise(metrics.without_marks("It waits [1][2]. Then [12] it ends.")) == [
        "it", "waits", "then", "it", "ends",
    ]  # fmt: skip


def test_citations_must_name_sources_that_were_sent() -> None:
    assert metrics.citation_validity([1, 1, 4], [1, 2, 3]) == pytest.approx(2 / 3)
    assert metrics.citation_validity([], [1]) is None


def test_quotes_must_stand_at_their_place() -> None:
    sources = {1: "One. Two.", 2: "উদ্ধৃতি 😀 two"}
    good = [(1, "Two.", (5, 9)), (2, "😀 two", (8, 13))]
    assert metrics.quote_verbatim(good, sources) == 1
    bad = [
        (1, "Two.", (4, 8)),  # elsewhere
        (3, "Two.", (5, 9)),  # no such source
        (1, "", (2, 2)),  # nothing
        (1, "wo.", (-3, 9)),  # from behind, as Python would read it
    ]
    assert metrics.quote_verbatim(bad, sources) == 0
    assert metrics.quote_verbatim([], sources) is None


def test_refusals_15_of_20_right() -> None:
    # 20 unanswerable of which 15 refused, and 5 answerable ones refused as well.
    refused = [True] * 15 + [False] * 5 + [True] * 5 + [False] * 30
    unanswerable = [True] * 20 + [False] * 35
    assert metrics.refusal_precision(refused, unanswerable) == 0.75
    assert metrics.refusal_recall(refused, unanswerable) == 0.75
    assert metrics.refusal_precision([False], [True]) is None
    assert metrics.refusal_recall([True], [False]) is None


# --- Against other people's programs.


def _squad_words(text: str) -> list[str]:
    """`normalize_answer` of SQuAD's evaluate-v1.1.py, step by step as it stands there."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split()).split()


def _squad_f1(given: list[str], wanted: list[str]) -> float:
    common = sum(min(given.count(word), wanted.count(word)) for word in set(given))
    if not given or not wanted:
        return float(given == wanted)
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall) if common else 0.0


def test_agrees_with_squads_own_script_on_ascii() -> None:
    chance = random.Random(1)
    alphabet = ["the", "An", "a", "cat", "Cat's", "on", "mat.", "on-mat", "42", "(", "it,", "\n"]
    for _ in range(500):
        one, two = (" ".join(chance.choices(alphabet, k=chance.randrange(9))) for _ in range(2))
        assert metrics.normalise(one) == _squad_words(one)
        assert metrics.token_f1(one, [two]) == pytest.approx(_squad_f1(_squad_words(one), _squad_words(two)))
        assert metrics.exact_match(one, [two]) == float(_squad_words(one) == _squad_words(two))
