"""The refusal score that a collection's own sentences give."""

import pytest

from rag_service.errors import InvalidInput
from rag_service.knowledge.calibration import find_score, usable
from rag_service.knowledge.refusal import Passage, answerable, signals

THINGS = ["telescope", "tripod", "mirror", "lens", "dome", "camera", "filter", "mount", "finder", "eyepiece"]
OWN = usable(
    [
        f"The {thing} of hall {hall} was cleaned in week {hall + 10} by the technician of the northern observatory."
        for thing in THINGS
        for hall in range(1, 7)
    ]
)
OTHERS = usable(
    [
        f"Goats and sheep number {n} graze on alpine meadows while herders prepare winter fodder daily."
        for n in range(40)
    ]
)


async def judged(question: str) -> float:
    best = max(OWN, key=lambda one: len(set(question.split()) & set(one.lower().split())))
    return answerable(signals(question, [Passage(best, 0.5)], familiarity=0.0))


async def test_few_of_its_own_questions_are_refused_and_most_of_the_others() -> None:
    found = await find_score(OWN, OTHERS, judged, questions=50)
    assert (found.covered, found.uncovered) == (50, 40)
    assert found.false_refusals <= 0.06
    assert found.refusals is not None and found.refusals > 0.9
    assert found == await find_score(OWN, OTHERS, judged, questions=50)


async def test_without_other_documents_only_the_false_refusals_are_told() -> None:
    found = await find_score(OWN, [], judged, questions=20)
    assert (found.uncovered, found.refusals) == (0, None)


async def test_a_collection_that_is_too_small_is_refused_with_a_sentence() -> None:
    with pytest.raises(InvalidInput, match="has 5 usable sentences, and 40 are needed"):
        await find_score(OWN[:5], OTHERS, judged)
    assert usable(["Too short.", "No."]) == []
