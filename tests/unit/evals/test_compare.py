"""Two runs side by side, and the conditions that fail one."""

import pytest

from evals.compare import Comparison, compare, judge
from evals.conditions import parse
from evals.errors import ConditionError
from tests.unit.evals.builders import result, results

MANY = 40


def runs(before: list[float], after: list[float], metric: str = "recall@5") -> Comparison:
    return compare(
        results(*(result(f"c{index}", {metric: value}) for index, value in enumerate(before))),
        results(*(result(f"c{index}", {metric: value}) for index, value in enumerate(after))),
    )


def failures(comparison: Comparison, *conditions: str, strict: bool = False) -> list[str]:
    parsed = [parse(text) for text in conditions]
    return list(judge(comparison, [one.strictly() if strict else one for one in parsed]).failures)


def test_both_means_the_difference_and_who_changed() -> None:
    (change,) = runs([1, 1, 0, 0.5], [1, 0, 1, 1]).changes
    assert (change.before, change.after, change.difference) == (0.625, 0.75, 0.125)
    assert (change.better, change.worse) == (2, 1)
    assert change.interval is not None
    assert not change.interval.excludes_zero


def test_for_a_time_less_is_better() -> None:
    comparison = compare(
        results(result("a", timings={"first_token_ms": 100}), result("b", timings={"first_token_ms": 100})),
        results(result("a", timings={"first_token_ms": 40}), result("b", timings={"first_token_ms": 120})),
    )
    (change,) = comparison.changes
    assert (change.difference, change.better, change.worse) == (-20, 1, 1)


def test_a_real_fall_fails() -> None:
    said = failures(runs([1.0] * MANY, [1.0, 0.0] * (MANY // 2)), "recall@5 < -0.02")
    assert said == [
        "recall@5 < -0.02: recall@5 went from 100.0 % to 50.0 %, -50.0 pp (95 % interval -65.0 – -35.0)."
    ]


def test_a_fall_that_may_be_an_accident_fails_only_strictly() -> None:
    comparison = runs([1.0] * MANY, [1.0] * (MANY - 1) + [0.0])
    assert failures(comparison, "recall@5 < -0.02") == []
    assert len(failures(comparison, "recall@5 < -0.02", strict=True)) == 1
    assert failures(comparison, "recall@5 < -0.03", strict=True) == []


def test_a_fall_of_exactly_the_limit_is_none_too_many() -> None:
    comparison = runs([1.0] * 10, [1.0] * 9 + [0.9])
    assert failures(comparison, "recall@5 < -0.01", strict=True) == []


def test_a_rise_is_watched_with_the_other_sign() -> None:
    comparison = compare(
        results(*(result(f"c{n}", timings={"first_token_ms": 100 + n}) for n in range(MANY))),
        results(*(result(f"c{n}", timings={"first_token_ms": 400 + n}) for n in range(MANY))),
    )
    assert len(failures(comparison, "first_token_ms > 200")) == 1
    assert failures(comparison, "first_token_ms > 300") == []


def test_refusal_precision_of_different_refusals() -> None:
    before = results(*(result(f"c{n}", {"refusal_precision": 1.0} if n < 20 else {}) for n in range(MANY)))
    after = results(*(result(f"c{n}", {"refusal_precision": float(n < 20)}) for n in range(MANY)))
    comparison = compare(before, after)
    assert comparison.changes[0].difference == -0.5
    assert len(failures(comparison, "refusal_precision < -0.05")) == 1


def test_a_measure_that_is_gone_fails() -> None:
    comparison = compare(
        results(result("a", {"refusal_precision": 1.0})), results(result("a", {"token_f1": 1.0}))
    )
    said = failures(comparison, "refusal_precision < -0.05", "token_f1 < 0")
    assert said == [
        "refusal_precision < -0.05: B has no value of refusal_precision, where A had 100.0 %.",
        "token_f1 < 0: A has no value of token_f1, so that nothing can be compared.",
    ]


def test_cases_that_b_could_not_measure_fail_every_comparison_with_a_condition() -> None:
    before = results(result("a", {"recall@5": 1}), result("b", {"recall@5": 1}))
    after = results(result("a", {"recall@5": 1}), result("b", error="The target stopped."))
    comparison = compare(before, after)
    assert failures(comparison, "recall@5 < -0.5") == ["1 case of A could not be measured in B: b."]
    assert failures(comparison) == []
    assert list(comparison.notes) == ["1 case measured in A and not in B"]


def test_only_what_is_the_same_case_is_compared() -> None:
    before = results(
        result("same", {"recall@5": 1}), result("reworded", {"recall@5": 1}), result("gone", {"recall@5": 1})
    )
    after = results(
        result("same", {"recall@5": 1}),
        result("reworded", {"recall@5": 0}, question="Another?"),
        result("new", {"recall@5": 0}),
    )
    comparison = compare(before, after)
    assert [new.id for _, new in comparison.pairs] == ["same"]
    assert list(comparison.notes) == [
        "1 case only in B",
        "1 case only in A",
        "1 case changed between the two",
    ]


@pytest.mark.parametrize(
    "text", ["recall@5<-0.02", "  mrr@10 <  -.5 ", "ndcg@5 < 0", "total_ms > +250", "token_f1 < -1."]
)
def test_conditions(text: str) -> None:
    condition = parse(text)
    assert str(parse(str(condition))) == str(condition)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no condition: write it like"),
        ("recall@5", "is no condition"),
        ("recall@5 <= -0.02", "is no condition"),
        ("recall@5 < -0.02 or mrr@5 < 0", "is no condition"),
        ("recall < -0.02", "there is no measure 'recall'. There are recall@K"),
        ("recall@0 < -0.02", "there is no measure"),
        ("recall@5x < -0.02", "there is no measure"),
        ("recall@5 < -2%", "'-2%' is no number"),
        ("recall@5 < nan", "'nan' is no number"),
        ("recall@5 < 0.02", "would fail on no change at all"),
        ("first_token_ms > -5", "would fail on no change at all"),
    ],
)
def test_conditions_that_cannot_be_understood(text: str, said: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert said in caught.value.detail
