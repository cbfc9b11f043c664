"""Citations: what a model writes in square brackets, and what becomes of it."""

import time
from collections.abc import Callable, Iterable, Sequence

import pytest

from rag_service.chat.citations import CitationStream, best_quote
from rag_service.chat.events import Citation, Delta, Source
from tests.unit.rag_service.chat.conftest import MakeSource

Cited = tuple[str, list[tuple[int, str, str]]]
Read = Callable[[Iterable[str]], Cited]


@pytest.fixture
def sources(make_source: MakeSource) -> Sequence[Source]:
    return [
        make_source(1, "Welcome. Leave is 25 days a year. It is paid."),
        make_source(2, "Leave grows with age.\n\n| Age | Days |\n|---|---|\n| 50 | 30 |"),
        make_source(12, "Bicycles are red."),
    ]


@pytest.fixture
def read(sources: Sequence[Source]) -> Read:
    """The answer's text, and for each citation its number, its claim and its quote."""

    def run(pieces: Iterable[str]) -> Cited:
        stream = CitationStream(sources)
        events = [event for piece in pieces for event in stream.feed(piece)] + list(stream.finish())
        text = "".join(event.text for event in events if isinstance(event, Delta))
        assert text == stream.text
        said = ""
        for event in events:
            if isinstance(event, Delta):
                said += event.text
            else:
                assert said.endswith(f"[{event.number}]"), "a citation follows its mark at once"
        citations = [event for event in events if isinstance(event, Citation)]
        by_number = {source.number: source for source in sources}
        for citation in citations:
            source = by_number[citation.number]
            start, end = citation.source_span
            assert source.text[start:end] == citation.quote != ""
            assert (citation.document_id, citation.chunk_id) == (source.document_id, source.chunk_id)
            assert citation.page == source.page
        return text, [(c.number, text[c.answer_span[0] : c.answer_span[1]], c.quote) for c in citations]

    return run


LEAVE, GROWS, PAID = "Leave is 25 days a year.", "Leave grows with age.", "It is paid."


@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        ("Leave is 25 days [1].", "Leave is 25 days [1].", [(1, "Leave is 25 days", LEAVE)]),
        ("Leave is 25 days. [1]", "Leave is 25 days. [1]", [(1, "Leave is 25 days.", LEAVE)]),
        (
            "Leave is 25 days.[1] It grows.[2]",
            "Leave is 25 days.[1] It grows.[2]",
            [(1, "Leave is 25 days.", LEAVE), (2, "It grows.", GROWS)],
        ),
        ("Paid [1][2].", "Paid [1][2].", [(1, "Paid", PAID), (2, "Paid", GROWS)]),
        ("Paid [1] [2].", "Paid [1] [2].", [(1, "Paid", PAID), (2, "Paid", GROWS)]),
        ("Paid [1, 2].", "Paid [1][2].", [(1, "Paid", PAID), (2, "Paid", GROWS)]),
        ("Paid [ 1;2 , 1 ].", "Paid [1][2].", [(1, "Paid", PAID), (2, "Paid", GROWS)]),
        ("Paid [1, 99].", "Paid [1].", [(1, "Paid", PAID)]),
        ("Red [12].", "Red [12].", [(12, "Red", "Bicycles are red.")]),
        ("নথি [১]।", "নথি [1]।", [(1, "নথি", "Welcome.")]),
        (
            "It grows [2] and is paid. [1]",
            "It grows [2] and is paid. [1]",
            [(2, "It grows", GROWS), (1, "It grows [2] and is paid.", PAID)],
        ),
        ("- Paid [1]\n- Grows [2]", "- Paid [1]\n- Grows [2]", [(1, "- Paid", PAID), (2, "- Grows", GROWS)]),
        ("[1] says more.", "[1] says more.", []),
        ("At 50 it is 30 days [2].", "At 50 it is 30 days [2].", [(2, "At 50 it is 30 days", "| 50 | 30 |")]),
    ],
)
def test_a_mark_becomes_a_citation_of_its_sentence(
    read: Read, said: str, shown: str, cited: list[tuple[int, str, str]]
) -> None:
    assert read([said]) == (shown, cited)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("No such source [3].", "No such source."),
        ("None [0] of [99] these [7, 8] is.", "None of these is."),
        ("[not a citation] [x] [1a] [2024] [1-2] [] [ ]", "[not a citation] [x] [1a] [2024] [1-2] [] [ ]"),
        ("A [link](http://x) stays.", "A [link](http://x) stays."),
        ("Cut off in a mark [", "Cut off in a mark"),
        ("Cut off in a mark [1", "Cut off in a mark"),
        ("Cut off in a mark [1, ", "Cut off in a mark"),
        ("It ends with white space. \n ", "It ends with white space."),
        ("Code: `rows[1]` and `rows[7](x)`.", "Code: `rows[1]` and `rows[7](x)`."),
        ("```py\nrows[1] = [2]\n``` \nEnd.", "```py\nrows[1] = [2]\n``` \nEnd."),
        ("```\ncut off in rows[1", "```\ncut off in rows[1"),
        ("", ""),
    ],
)
def test_what_is_no_mark_cites_nothing(read: Read, said: str, shown: str) -> None:
    assert read([said]) == (shown, [])


def test_a_mark_is_not_the_text_of_a_link(read: Read) -> None:
    text, cited = read(["Paid [1](http://evil.example)."])
    assert text == "Paid [1] (http://evil.example)."
    assert cited == [(1, "Paid", PAID)]
    assert read(["Paid [1] (see above)."])[0] == "Paid [1] (see above)."


def test_marks_behind_code_are_marks_again(read: Read) -> None:
    text, cited = read(["Use `rows[1]` [1].\n```\nrows[2]\n```\nGrows [2]."])
    assert text == "Use `rows[1]` [1].\n```\nrows[2]\n```\nGrows [2]."
    assert [number for number, _, _ in cited] == [1, 2]


TANGLED = "A.[1] B [2, 12] c [9]![x](y) [1](z) `r[1]` [ 1 ; 2][1] \n- D [12"


def test_wherever_an_answer_is_split_it_reads_the_same(read: Read) -> None:
    whole = read([TANGLED])
    assert [number for number, _, _ in whole[1]] == [1, 2, 12, 1, 1, 2, 1]
    assert read(TANGLED) == whole
    for first in range(len(TANGLED) + 1):
        for second in range(first, len(TANGLED) + 1):
            pieces = [TANGLED[:first], TANGLED[first:second], TANGLED[second:]]
            assert read(pieces) == whole, pieces


def test_a_long_list_of_numbers_is_one_mark_however_it_comes(read: Read) -> None:
    said = "Paid [" + ", ".join(["1", "2", "12"] * 10) + "]."
    assert read([said])[0] == read(said)[0] == "Paid [1][2][12]."


def test_only_what_may_become_a_mark_is_held_back(sources: Sequence[Source]) -> None:
    stream = CitationStream(sources)
    assert list(stream.feed("Paid")) == [Delta("Paid")]
    assert list(stream.feed(" [1")) == []
    assert list(stream.feed("x")) == [Delta(" [1x")]
    assert list(stream.feed(" ")) == []
    assert list(stream.feed("and")) == [Delta(" and")]


TEXT = (
    "The handbook has three parts. Leave is 25 days a year, and part-time staff get a share of it. "
    "Leave is asked for in the portal. The portal is closed on Sundays."
)


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("You ask for leave in the portal", "Leave is asked for in the portal."),
        ("Staff have 25 days of leave", TEXT[30:93]),
        ("On Sundays it is closed", "The portal is closed on Sundays."),
        ("Nothing shared whatsoever", "The handbook has three parts."),
        ("", "The handbook has three parts."),
    ],
)
def test_the_quote_is_the_sentence_that_supports_the_claim(claim: str, quote: str) -> None:
    start, end = best_quote(TEXT, claim)
    assert TEXT[start:end] == quote


def test_a_source_without_a_word_is_quoted_whole() -> None:
    assert best_quote("…", "claim") == (0, 1)
    assert best_quote("", "claim") == (0, 0)


def test_white_space_without_end_costs_no_more_than_other_text(read: Read) -> None:
    """Seen from each of its spaces, this would take hours."""
    gap = " " * 300_000
    text, found = read(["Leave is 25 days a year", f"{gap}and paid", " [1].", f"{gap}So", " it is.", gap])
    assert text == f"Leave is 25 days a year{gap}and paid [1].{gap}So it is."
    assert len(found) == 1


def test_the_hundredth_mark_costs_no_more_than_the_first(sources: Sequence[Source]) -> None:
    stream = CitationStream(sources)
    started = time.process_time()
    events = [event for _ in range(1500) for event in stream.feed("Leave is 25 days [1]. ")]
    assert len([one for one in events if isinstance(one, Citation)]) == 1500
    assert time.process_time() - started < 4
