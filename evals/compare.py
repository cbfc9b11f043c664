"""A run beside another, case by case: what changed, and whether that can be an accident."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from evals.bootstrap import Interval, difference_interval, mean
from evals.catalogue import Metric, metrics_of
from evals.conditions import Condition
from evals.results import CaseResult, Results

Pair = tuple[CaseResult, CaseResult]

SAME = 1e-9
"""Differences of a case's values up to this are none."""


@dataclass(frozen=True)
class Change:
    """One measure in both runs. `better` and `worse` count the cases that have a value in both."""

    metric: Metric
    before: float | None
    after: float | None
    interval: Interval | None
    better: int
    worse: int

    @property
    def difference(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Comparison:
    """B against A. Only `pairs` are compared: the same case, measured in both."""

    pairs: Sequence[Pair]
    changes: Sequence[Change]
    notes: Sequence[str]
    lost: Sequence[str]
    """Cases that A has and B failed to measure."""


@dataclass(frozen=True)
class Verdict:
    """Which conditions failed, each with a sentence."""

    failures: Sequence[str] = field(default_factory=tuple)

    @property
    def failed(self) -> bool:
        return bool(self.failures)


def compare(before: Results, after: Results) -> Comparison:
    """Compare by case id. Cases that were asked or judged differently are left out, and said to be."""
    old, new = before.by_id(), after.by_id()
    common = [(old[case.id], case) for case in after.cases if case.id in old]
    same = [pair for pair in common if pair[0].same_case(pair[1])]
    pairs = [pair for pair in same if pair[0].error is None and pair[1].error is None]
    lost = [b.id for a, b in same if a.error is None and b.error is not None]
    notes = [
        _note(len(new.keys() - old.keys()), "only in B"),
        _note(len(old.keys() - new.keys()), "only in A"),
        _note(len(common) - len(same), "changed between the two"),
        _note(sum(a.error is not None for a, _ in same), "not measured in A"),
        _note(len(lost), "measured in A and not in B"),
    ]
    measures = metrics_of([case for pair in pairs for case in pair])
    changes = [_change(one, pairs) for one in measures]
    return Comparison(pairs, changes, [note for note in notes if note], lost)


def _note(count: int, what: str) -> str:
    return f"{count} case{'s' if count != 1 else ''} {what}" if count else ""


def _change(measure: Metric, pairs: Sequence[Pair]) -> Change:
    before = [a.value(measure.name) for a, _ in pairs]
    after = [b.value(measure.name) for _, b in pairs]
    steps = [y - x for x, y in zip(before, after, strict=True) if x is not None and y is not None]
    up, down = sum(step > SAME for step in steps), sum(step < -SAME for step in steps)
    better, worse = (up, down) if measure.higher_is_better else (down, up)
    return Change(measure, mean(before), mean(after), difference_interval(before, after), better, worse)


def judge(comparison: Comparison, conditions: Sequence[Condition]) -> Verdict:
    """Hold the comparison against the conditions.

    A run that lost cases fails whatever the others say: what is not measured cannot be shown to be as good.
    """
    if not conditions:
        return Verdict()
    failures = [sentence for one in conditions if (sentence := _failure(comparison, one))]
    if comparison.lost:
        failures.append(
            f"{_note(len(comparison.lost), 'of A could not be measured in B')}: {', '.join(comparison.lost[:5])}."
        )
    return Verdict(failures)


def _failure(comparison: Comparison, condition: Condition) -> str | None:
    change = next((one for one in comparison.changes if one.metric == condition.metric), None)
    if change is None or change.difference is None:
        return _unknown(change, condition)
    if not condition.passed_by(change.difference):
        return None
    measure, interval = change.metric, change.interval
    if not condition.strict and not (interval and interval.excludes_zero):
        return None
    return (
        f"{condition}: {measure.name} went from {measure.shown(change.before)} to {measure.shown(change.after)}, "
        f"{measure.shown_difference(change.difference)} (95 % interval {measure.shown_change(interval) or 'unknown'})."
    )


def _unknown(change: Change | None, condition: Condition) -> str:
    """A measure with nothing to measure: where A had it and B has not, that is a change for the worse."""
    if change is None or change.before is None:
        return f"{condition}: A has no value of {condition.metric.name}, so that nothing can be compared."
    return f"{condition}: B has no value of {condition.metric.name}, where A had {change.metric.shown(change.before)}."
