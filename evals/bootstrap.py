"""Intervals by resampling: how much a mean, or the difference of two, owes to the choice of questions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 20_260_101
_BLOCK = 4_000_000
"""Numbers drawn at a time: 32 MB."""

Values = Sequence[float | None]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """The 95 % percentile interval, [low, high]."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def mean(values: Values) -> float | None:
    """The mean of what was measured; None if nothing was."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def mean_interval(values: Values, *, resamples: int = RESAMPLES, seed: int = SEED) -> Interval | None:
    """The interval of a mean over questions; None if nothing was measured."""
    return _percentiles([_means(drawn, values) for drawn in _draws(len(values), resamples, seed)])


def difference_interval(
    before: Values, after: Values, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval | None:
    """The paired bootstrap interval of mean(after) - mean(before); None if one of the two has no values.

    Questions are drawn with replacement, the same ones for both sides, so that what makes a question hard cancels
    out. Percentile method: Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapter 13; for paired
    systems Koehn: Statistical Significance Tests for Machine Translation Evaluation (2004).

    A value that is None on one side, such as the citations of a question that was refused, stays out of that
    side's mean: a ratio such as refusal precision is resampled with its denominator.
    """
    if len(before) != len(after):
        raise ValueError("a paired comparison needs both values of every question")
    draws = _draws(len(before), resamples, seed)
    return _percentiles([_means(drawn, after) - _means(drawn, before) for drawn in draws])


def _draws(size: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each question is drawn in each resample, some resamples at a time: rows of multinomial counts."""
    if size == 0:
        return
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // size)
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        yield random.multinomial(size, np.full(size, 1 / size), size=block).astype(np.float64)


def _means(drawn: Floats, values: Values) -> Floats:
    """The mean of each resample; NaN where it drew no question that has a value."""
    measured = np.array([value is not None for value in values], dtype=np.float64)
    numbers = np.array([value if value is not None else 0.0 for value in values], dtype=np.float64)
    total = drawn @ measured
    means: Floats = np.full(len(drawn), np.nan)
    return np.divide(drawn @ numbers, total, out=means, where=total > 0)


def _percentiles(means: Sequence[Floats]) -> Interval | None:
    every = np.concatenate(means) if means else np.zeros(0)
    known = every[~np.isnan(every)]
    if known.size == 0:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(float(low), float(high))
