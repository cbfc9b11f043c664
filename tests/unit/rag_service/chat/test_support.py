import time

import pytest

from rag_service.chat.support import supports, unsupported

SOURCE = (
    "The reading room opens at nine on weekdays. A yearly badge costs 1,250 Taka, and 40 Taka for students."
)


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        ("The reading room is opened at nine.", True),
        ("Students pay 40 Taka for a badge [1].", True),
        ("A badge costs 1250 Taka a year.", True),
        ("A badge costs 1,300 Taka.", False),
        ("The director founded the institute after a journey to Chittagong.", False),
        ("ছাত্রদের জন্য ব্যাজের দাম ৪০ টাকা", True),
        ("ছাত্রদের জন্য ব্যাজের দাম ৪৫ টাকা", False),
        ("Yes.", True),
    ],
)
def test_a_claim_is_held_against_the_words_and_the_numbers_of_its_source(claim: str, found: bool) -> None:
    assert supports(SOURCE, claim) is found


def test_sentences_without_a_supported_claim_are_told() -> None:
    text = "## Prices\n\nThe prices are:\n\n- A badge costs 40 Taka [1].\n- It was founded in 1950.\n\nIs that all?"
    claim = (text.index("A badge"), text.index(" [1]"))
    spans = unsupported(text, [claim])
    assert [text[start:end] for start, end in spans] == ["It was founded in 1950."]
    assert len(unsupported(text, [])) == 2


def test_many_claims_of_a_long_answer_are_held_against_its_sentences_in_one_go() -> None:
    text = "Basalt makes the moon. " * 20_000
    claims = [(at, at + 22) for at in range(0, len(text), 46)]
    started = time.process_time()
    assert len(unsupported(text, claims)) == 10_000
    assert time.process_time() - started < 5
