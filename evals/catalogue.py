"""Every measure by name: what it is called, what it means to someone new, and which way is better."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evals.bootstrap import Interval
from evals.results import CaseResult


@dataclass(frozen=True)
class Metric:
    """A measure. `about` is one sentence; `share` says that it runs from 0 to 1; `group` is what it is about."""

    name: str
    title: str
    about: str
    group: str
    higher_is_better: bool = True
    share: bool = True

    def shown(self, value: float | None) -> str:
        """The value for people: a share in per cent, a time in milliseconds."""
        if value is None:
            return "–"
        return f"{100 * value:.1f} %" if self.share else f"{value:,.0f} ms"

    def shown_interval(self, interval: Interval | None) -> str:
        """An interval of values."""
        if interval is None:
            return ""
        if self.share:
            return f"{100 * interval.low:.1f} – {100 * interval.high:.1f} %"
        return f"{interval.low:,.0f} – {interval.high:,.0f} ms"

    def shown_change(self, interval: Interval | None) -> str:
        """An interval of differences."""
        if interval is None:
            return ""
        if self.share:
            return f"{100 * interval.low:+.1f} – {100 * interval.high:+.1f}"
        return f"{interval.low:+,.0f} – {interval.high:+,.0f}"

    def shown_difference(self, value: float | None) -> str:
        """A difference, with its sign: of shares in percentage points."""
        if value is None:
            return "–"
        return f"{100 * value:+.1f} pp" if self.share else f"{value:+,.0f} ms"


FOUND, ANSWERED, PROVED, REFUSED, TIME = (
    "Was the right passage found?",
    "Was the answer right?",
    "Is it proved?",
    "Was refused what should be?",
    "How long did it take?",
)
GROUPS = (FOUND, ANSWERED, PROVED, REFUSED, TIME)

_FIXED = (
    Metric(
        "contains_answer", "Contains the answer",
        "The share of answers in which an expected short answer stands word for word.", ANSWERED,
    ),
    Metric(
        "token_f1", "Token F1",
        "How far the words of the answer and of the expected short answer overlap; an answer that quotes whole "
        "sentences scores low here even when it is right.", ANSWERED,
    ),
    Metric(
        "exact_match", "Exact match",
        "The share of answers that are the expected short answer and nothing else; next to nothing is usual for "
        "answers in sentences.", ANSWERED,
    ),
    Metric(
        "cites_relevant", "Cites the right passage",
        "The share of answers with at least one citation that points to a passage known to hold the answer.",
        PROVED,
    ),
    Metric(
        "citation_validity", "Citations are valid",
        "The share of citations whose number belongs to a source that was sent along; anything below 100 % is a "
        "fault of the service.", PROVED,
    ),
    Metric(
        "quote_verbatim", "Quotes are verbatim",
        "The share of quotes that stand in their source exactly where the citation says; anything below 100 % is "
        "a fault of the service.", PROVED,
    ),
    Metric(
        "refusal_precision", "Refusals were right",
        "Of the questions that were refused, the share to which the documents truly hold no answer.", REFUSED,
    ),
    Metric(
        "refusal_recall", "Unanswerable ones were refused",
        "Of the questions to which the documents hold no answer, the share that was refused and not answered "
        "with something beside the point.", REFUSED,
    ),
    Metric(
        "first_token_ms", "Time to first token",
        "How long a user waits until the answer begins to appear, on average.", TIME, False, False,
    ),
    Metric(
        "total_ms", "Time to the whole answer",
        "How long it takes until the answer is complete, on average.", TIME, False, False,
    ),
)  # fmt: skip

_RANKED = {
    "recall": (
        "Found among the first {k}",
        "The share of the passages known to hold the answer that were among the first {k} sources found.",
    ),
    "mrr": (
        "Rank of the first hit (MRR@{k})",
        "The mean of 1 / rank of the first right passage: 100 % if it always comes first, 50 % if always second.",
    ),
    "ndcg": (
        "Order of the hits (nDCG@{k})",
        "How near the order of the first {k} sources comes to the best one, where all right passages come first.",
    ),
}


def metric(name: str) -> Metric:
    """The measure of that name. Raises KeyError if there is none."""
    for one in _FIXED:
        if one.name == name:
            return one
    kind, _, k = name.partition("@")
    if kind not in _RANKED or not re.fullmatch(r"[1-9]\d{0,3}", k):
        raise KeyError(name)
    title, about = _RANKED[kind]
    if name == "recall@1":
        title, about = (
            "Found first",
            "The share of the passages known to hold the answer that came first of all.",
        )
    return Metric(name, title.format(k=k), about.format(k=k), FOUND)


def metrics_of(cases: Sequence[CaseResult]) -> list[Metric]:
    """The measures that at least one of the cases has, in the order in which they are shown."""
    present = {name for case in cases for name in (*case.metrics, *case.timings)}
    ranked = sorted(
        (name for name in present if name.partition("@")[0] in _RANKED),
        key=lambda name: (list(_RANKED).index(name.partition("@")[0]), int(name.partition("@")[2])),
    )
    return [metric(name) for name in (*ranked, *(one.name for one in _FIXED if one.name in present))]
