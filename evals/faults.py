"""What is wrong with an answer, in sentences, and how bad it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.results import CaseResult


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `weight` orders cases: broken promises first, then wrong decisions, then misses."""

    sentence: str
    weight: float


def faults(case: CaseResult) -> list[Fault]:
    """Everything that is wrong with a case that was measured, worst first."""
    found: list[Fault] = []
    if _below_one(case, "citation_validity"):
        found.append(Fault("A citation points to a source that was never sent.", 8))
    if _below_one(case, "quote_verbatim"):
        found.append(Fault("A quote does not stand in its source.", 8))
    if case.expected.refuse and not case.refused:
        found.append(Fault("Answered, though the documents hold no answer.", 7))
    if case.refused and not case.expected.refuse:
        found.append(Fault("Refused, though the documents hold the answer.", 7))
    if case.value("cites_relevant") == 0 and not case.refused:
        found.append(Fault("Cites no passage that is known to hold the answer.", 2))
    if case.value("contains_answer") == 0 and not case.refused:
        found.append(Fault("No expected answer stands in it word for word.", 2))
    if (missed := _missed(case)) and not case.refused:
        found.append(missed)
    return found


def _below_one(case: CaseResult, metric: str) -> bool:
    value = case.value(metric)
    return value is not None and value < 1


def _missed(case: CaseResult) -> Fault | None:
    cutoffs = [int(name.removeprefix("recall@")) for name in case.metrics if name.startswith("recall@")]
    if not cutoffs:
        return None
    recall = case.metrics[f"recall@{max(cutoffs)}"]
    if recall is None or recall == 1:
        return None
    wanted = len(case.expected.relevant)
    found = round(recall * wanted)
    last = max(cutoffs)
    sentence = (
        f"The right passage was not among the first {last} sources."
        if wanted == 1
        else f"Only {found} of the {wanted} right passages stood among the first {last} sources."
    )
    return Fault(sentence, 2 * (1 - recall))


def worst(cases: Sequence[CaseResult]) -> list[tuple[CaseResult, list[Fault]]]:
    """The measured cases that have a fault, the worst first."""
    faulty = [(case, found) for case in cases if case.error is None and (found := faults(case))]
    return sorted(faulty, key=lambda one: -sum(fault.weight for fault in one[1]))
