"""From a case and a reply to values."""

import pytest

from evals.outcomes import measured
from evals.scoring import gains_of, score
from evals.suite import Relevant
from tests.unit.evals.builders import case, citation, reply, source

TWO = [{"file": "a.md", "quote": "alpha beta"}, "b.md"]


def test_a_reply_with_everything() -> None:
    sources = [source(1, "x.md"), source(2, "a.md", "An alpha\nbeta."), source(3, "b.md", "Bee.")]
    answer = reply("It is alpha beta. [2]", sources, [citation(2, "alpha\nbeta", (3, 13))])
    found = score(case(relevant=TWO, answers=["alpha beta"]), answer)
    assert found == {
        "recall@1": 0.0,
        "recall@5": 1.0,
        "mrr@5": 0.5,
        "ndcg@5": pytest.approx((1 / 1.5849625 + 0.5) / (1 + 1 / 1.5849625)),
        "contains_answer": 1.0,
        "token_f1": pytest.approx(2 / 3),
        "exact_match": 0.0,
        "cites_relevant": 1.0,
        "citation_validity": 1.0,
        "quote_verbatim": 1.0,
        "refusal_precision": None,
        "refusal_recall": None,
    }


def test_a_refusal_of_what_could_be_answered() -> None:
    found = score(case(relevant=TWO), reply("Nothing.", finish_reason="refused"))
    assert (found["recall@5"], found["mrr@5"], found["ndcg@5"]) == (0, 0, 0)
    assert (found["contains_answer"], found["cites_relevant"]) == (0, 0)
    assert (found["citation_validity"], found["quote_verbatim"]) == (None, None)
    assert (found["refusal_precision"], found["refusal_recall"]) == (0, None)


def test_a_refusal_of_what_cannot_be_answered() -> None:
    found = score(case(refuse=True, answers=[]), reply("Nothing.", finish_reason="refused"))
    assert {name for name, value in found.items() if value is not None} == {
        "refusal_precision",
        "refusal_recall",
    }
    assert (found["refusal_precision"], found["refusal_recall"]) == (1, 1)


def test_a_generated_answer_that_cites_nothing_is_a_refusal() -> None:
    found = score(case(refuse=True, answers=[]), reply("The sources do not say.", [source(1, "a.md")]))
    assert found["refusal_recall"] == 1


def test_an_answer_where_a_refusal_was_due() -> None:
    answer = reply("Yes. [1]", [source(1, "a.md", "Yes.")], [citation(1, "Yes.", (0, 4))])
    found = score(case(refuse=True, answers=[]), answer)
    assert (found["refusal_precision"], found["refusal_recall"]) == (None, 0)


def test_the_second_chunk_of_a_document_gains_nothing() -> None:
    relevant = [Relevant(file="a.md")]
    sources = [source(1, "a.md", "1"), source(2, "a.md", "2")]
    assert gains_of(relevant, sources) == ([1, 0], [1])


def test_a_source_that_holds_two_passages_makes_them_one() -> None:
    relevant = [Relevant(file="a.md", quote="one", grade=1), Relevant(file="a.md", quote="two", grade=3)]
    assert gains_of(relevant, [source(1, "a.md", "one two")]) == ([3], [3])
    # The best order is no worse than any that can come about.
    found = score(
        case(relevant=[one.model_dump() for one in relevant]), reply("", [source(1, "a.md", "one two")])
    )
    assert (found["ndcg@5"], found["recall@5"]) == (1, 1)


def test_what_was_not_found_counts_in_the_ideal() -> None:
    relevant = [Relevant(file="a.md", grade=2), Relevant(file="b.md", grade=1)]
    assert gains_of(relevant, [source(1, "x.md"), source(2, "b.md")]) == ([0, 1], [1, 2])


def test_cutoffs_name_the_measures() -> None:
    found = score(case(relevant=["a.md"]), reply("", [source(n, "x.md") for n in range(1, 4)]), (3, 2))
    assert {name for name in found if "@" in name} == {"recall@2", "recall@3", "mrr@3", "ndcg@3"}


def test_a_result_keeps_no_text_of_the_sources() -> None:
    long = "A very long passage. " * 500
    answer = reply("Yes. [1]", [source(1, "a.md", long)], [citation(1, long[:1000], (0, 1000))])
    line = measured(case(relevant=["a.md"]), answer, (1, 5)).model_dump_json(exclude_defaults=True)
    assert len(line) < 2000
    assert '"quote_verbatim":1.0' in line  # measured before the quote was cut
