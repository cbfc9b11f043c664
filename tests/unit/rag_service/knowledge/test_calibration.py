"""The refusal score that a collection's own sentences give."""

from uuid import UUID

import pytest

from rag_service.errors import InvalidInput
from rag_service.knowledge.calibration import DOCUMENTS, USUAL, Sentence, find_score, usable
from rag_service.knowledge.refusal import Passage, answerable, signals

THINGS = ["telescope", "tripod", "mirror", "lens", "dome", "camera", "filter", "mount", "finder", "eyepiece"]
OWN = usable(
    [
        (
            UUID(int=hall),
            f"The {thing} of hall {hall} was cleaned in week {hall + 10} by the technician of the northern station.",
        )
        for thing in THINGS
        for hall in range(1, 7)
    ]
)
OTHERS = usable(
    [
        (
            None,
            f"Goats and sheep number {n} graze on alpine meadows while herders prepare winter fodder daily.",
        )
        for n in range(40)
    ]
)


async def judged(question: str, without: UUID | None) -> float:
    assert without is None
    best = max(
        (one.text for one in OWN), key=lambda text: len(set(question.split()) & set(text.lower().split()))
    )
    return answerable(signals(question, [Passage(best, 0.5)], familiarity=0.0))


async def test_few_of_its_own_questions_are_refused_and_most_of_the_others() -> None:
    found = await find_score(OWN, OTHERS, judged, questions=50)
    assert (found.covered, found.uncovered) == (50, 40)
    assert found.false_refusals <= 0.06
    assert found.refusals is not None and found.refusals > 0.9
    assert found == await find_score(OWN, OTHERS, judged, questions=50)


async def test_of_documents_enough_each_is_left_out_and_the_score_lies_where_such_questions_end() -> None:
    own = [Sentence(one.text, UUID(int=at % DOCUMENTS + 1)) for at, one in enumerate(OWN)]

    async def judge(question: str, without: UUID | None) -> float:
        return 0.9 if without is None else 0.1 * without.int

    found = await find_score(own, OTHERS, judge, questions=40)
    assert (found.covered, found.uncovered, found.false_refusals) == (40, 40, 0.0)
    assert 0.5 < found.score <= 0.8
    trusted = await find_score(own, OTHERS, judge, questions=40, trust=1.0)
    assert found.score <= trusted.score < 0.9


@pytest.mark.parametrize(("trust", "usual"), [(0.0, USUAL[0]), (1.0, USUAL[1])])
async def test_the_score_is_drawn_from_the_own_questions_towards_what_is_usual(
    trust: float, usual: float
) -> None:
    async def score(uncovered: float) -> float:
        async def judge(question: str, without: UUID | None) -> float:
            return uncovered if without else 0.99

        own = [Sentence(one.text, UUID(int=at % DOCUMENTS + 1)) for at, one in enumerate(OWN)]
        return (await find_score(own, OTHERS, judge, trust=trust, questions=40)).score

    low, high = await score(usual - 0.1), await score(usual + 0.1)
    assert usual - 0.1 < low < usual < high < usual + 0.1


async def test_without_other_documents_only_the_false_refusals_are_told() -> None:
    found = await find_score(OWN, [], judged, questions=20)
    assert (found.uncovered, found.refusals) == (0, None)


async def test_a_collection_that_is_too_small_is_refused_with_a_sentence() -> None:
    with pytest.raises(InvalidInput, match="has 5 usable sentences, and 40 are needed"):
        await find_score(OWN[:5], OTHERS, judged)
    assert usable([(None, "Too short."), (None, "No.")]) == []
