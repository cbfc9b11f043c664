"""Intervals: exact where they can be computed, near scipy's where not, and right about what they claim."""

import itertools

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from evals.bootstrap import Interval, difference_interval, mean, mean_interval


def test_mean_leaves_out_what_was_not_measured() -> None:
    assert mean([1, None, 0]) == 0.5
    assert mean([None]) is None
    assert mean([]) is None


def test_no_difference_is_exactly_zero() -> None:
    values = [0.1, 0.7, None, 0.2]
    assert difference_interval(values, values) == Interval(0, 0)
    assert not Interval(0, 0).excludes_zero


def test_the_same_seed_gives_the_same_interval() -> None:
    before, after = [0.0, 1.0, 0.5, 1.0], [1.0, 1.0, 0.0, 1.0]
    assert difference_interval(before, after) == difference_interval(before, after)
    assert difference_interval(before, after, seed=1, resamples=50) != difference_interval(
        before, after, seed=2, resamples=50
    )


def test_against_all_resamples_of_three_questions() -> None:
    """Three questions have 27 equally likely resamples, so the exact quantiles can be read off."""
    before, after = [0.0, 0.0, 1.0], [1.0, 0.0, 1.0]
    steps = [b - a for a, b in zip(before, after, strict=True)]
    every = sorted(
        sum(steps[index] for index in drawn) / 3 for drawn in itertools.product(range(3), repeat=3)
    )
    low, high = every[int(0.025 * 27)], every[int(0.975 * 27)]
    assert (low, high) == (0, 1)  # 8 of 27 are 0 and 1 of 27, which is more than 2.5 %, is 1
    found = difference_interval(before, after)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([low, high])


def test_near_scipys_paired_bootstrap() -> None:
    random = np.random.default_rng(3)
    before = random.uniform(size=80)
    after = np.clip(before + random.normal(0.05, 0.2, size=80), 0, 1)
    theirs = stats.bootstrap(
        (before, after), lambda a, b, axis: np.mean(b, axis=axis) - np.mean(a, axis=axis),
        paired=True, vectorized=True, n_resamples=10_000, method="percentile", rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    ours = difference_interval(before.tolist(), after.tolist())
    assert ours is not None
    assert ours.low == pytest.approx(theirs.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.high, abs=0.004)


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = [1.0] * 80 + [0.0] * 20
    found = mean_interval(values)
    assert found is not None
    assert found.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.012)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.012)


def test_a_ratio_is_resampled_with_its_denominator() -> None:
    """Refusal precision: 3 of 4 refusals right before, 3 of 3 after; who is refused differs."""
    before = [1.0, 1.0, 1.0, 0.0, None, None]
    after = [1.0, 1.0, 1.0, None, None, None]
    found = difference_interval(before, after)
    assert found is not None
    assert found.low == 0
    assert 0.5 <= found.high <= 1


def test_nothing_measured_has_no_interval() -> None:
    assert mean_interval([]) is None
    assert mean_interval([None, None]) is None
    assert difference_interval([1.0], [None]) is None


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="both values"):
        difference_interval([1.0], [1.0, 0.0])


def test_many_questions_are_drawn_in_blocks() -> None:
    found = mean_interval([0.0, 1.0] * 10_000, resamples=500)
    assert found is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.02
