"""`--fail-if "recall@5 < -0.02"`: what counts as a regression.

    condition = metric ("<" | ">") number
    metric    = a name of a measure, such as recall@5 or first_token_ms
    number    = sign, digits, point; of the difference of the means, B minus A

`<` watches for a fall and takes a number that is 0 or less, `>` for a rise and takes one that is 0 or more.
"""

import math
import re
from dataclasses import dataclass, replace

from evals.catalogue import Metric, metric
from evals.errors import ConditionError

_CONDITION = re.compile(r"\s*(?P<name>[^\s<>=]+)\s*(?P<sign>[<>])\s*(?P<number>[^\s<>=]+)\s*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_FORM = 'write it like "recall@5 < -0.02" (fails on a fall by more than 0.02) or "first_token_ms > 200"'


@dataclass(frozen=True)
class Condition:
    """Fails when the difference of the means passes `limit`; unless `strict`, only where the interval says that the
    change is no accident."""

    metric: Metric
    falls: bool
    limit: float
    strict: bool = False

    def __str__(self) -> str:
        return f"{self.metric.name} {'<' if self.falls else '>'} {self.limit:g}"

    def strictly(self) -> "Condition":
        """The same, failing on the means alone."""
        return replace(self, strict=True)

    def passed_by(self, difference: float) -> bool:
        """Whether the difference is beyond the limit."""
        # Differences of means are sums of floats: one of exactly the limit must not fail by its last bit.
        nearly = math.isclose(difference, self.limit, rel_tol=1e-9, abs_tol=1e-12)
        return not nearly and (difference < self.limit if self.falls else difference > self.limit)


def parse(text: str) -> Condition:
    """A condition from its text.

    Raises:
        ConditionError: it is not of the form, names no measure, or watches for the wrong direction.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ConditionError(f"{text!r} is no condition: {_FORM}.")
    try:
        measure = metric(match["name"])
    except KeyError as error:
        raise ConditionError(
            f"{text!r}: there is no measure {match['name']!r}. There are recall@K, mrr@K, ndcg@K, contains_answer, "
            "token_f1, exact_match, cites_relevant, citation_validity, quote_verbatim, refusal_precision, "
            "refusal_recall, first_token_ms and total_ms."
        ) from error
    if not _NUMBER.fullmatch(match["number"]):
        raise ConditionError(f"{text!r}: {match['number']!r} is no number; {_FORM}.")
    falls, limit = match["sign"] == "<", float(match["number"])
    if falls != (limit < 0) and limit != 0:
        raise ConditionError(
            f"{text!r} would fail on no change at all: behind `<` stands the fall that is too much, 0 or less; "
            "behind `>` the rise, 0 or more."
        )
    return Condition(measure, falls, limit)
