"""Answering by quoting: which sentences are chosen, and how they are shown."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rag_service.chat.events import Citation, Delta, Source
from rag_service.chat.extractive import Quote, answer, best_sentences, language_of, not_found
from rag_service.testing.embedder import HashedWords
from tests.unit.rag_service.chat.conftest import MakeSource

LEAD = "Quoted from the documents:"


async def quoted(question: str, sources: Sequence[Source]) -> list[str]:
    quotes = await best_sentences(question, sources, HashedWords())
    return [quote.source.text[quote.start : quote.end] for quote in quotes]


def shown(question: str, quotes: Sequence[Quote]) -> str:
    """The answer's text. Each citation is checked: its spans, and that its quote is verbatim."""
    events = list(answer(question, quotes))
    text = "".join(event.text for event in events if isinstance(event, Delta))
    citations = [event for event in events if isinstance(event, Citation)]
    for citation, quote in zip(citations, quotes, strict=True):
        assert citation.source_span == (quote.start, quote.end)
        assert citation.quote == quote.source.text[quote.start : quote.end]
        start, end = citation.answer_span
        assert text[start:].startswith(text[start:end] + f" [{citation.number}]")
        assert text[:start].endswith("\n\n> ")
        assert (citation.document_id, citation.page) == (quote.source.document_id, quote.source.page)
    return text


def quote_of(source: Source, sentence: str) -> Quote:
    start = source.text.index(sentence)
    return Quote(source, start, start + len(sentence), 1.0)


async def test_the_sentence_that_holds_the_question_is_quoted(make_source: MakeSource) -> None:
    source = make_source(1, "Paper is white. Leave is 25 days a year. Bicycles are red.")
    assert await quoted("How many days of leave a year?", [source]) == ["Leave is 25 days a year."]


async def test_at_most_two_sentences_come_in_the_order_of_the_text(make_source: MakeSource) -> None:
    text = "Leave grows by one day with age. Leave is one day a month. One more day of leave is for moving."
    sources = [make_source(1, text), make_source(2, "A day of leave is for weddings.")]
    quotes = await best_sentences("When is there one day of leave?", sources, HashedWords())
    assert len(quotes) == 2
    assert quotes == sorted(quotes, key=lambda quote: (quote.source.number, quote.start))


async def test_what_two_sources_say_in_the_same_words_is_quoted_once(make_source: MakeSource) -> None:
    sources = [make_source(1, "Leave is 25 days."), make_source(2, "LEAVE is  25 days!")]
    assert await quoted("How much leave?", sources) == ["Leave is 25 days."]


async def test_a_much_weaker_second_sentence_is_left_out(make_source: MakeSource) -> None:
    source = make_source(1, "Leave is 25 days a year. The portal is green.")
    assert await quoted("leave 25 days year", [source]) == ["Leave is 25 days a year."]


async def test_a_source_that_fits_better_counts_more(make_source: MakeSource) -> None:
    sources = [make_source(1, "Leave is 20 days.", score=0.9), make_source(2, "Leave is 30 days.", score=0.1)]
    assert await quoted("How much leave?", sources) == ["Leave is 20 days."]


async def test_headings_help_to_find_a_sentence_that_does_not_repeat_them(make_source: MakeSource) -> None:
    sources = [
        make_source(1, "It is 20 days a year.", headings=["Notice period"]),
        make_source(2, "It is 25 days a year.", headings=["Parental leave"]),
    ]
    assert await quoted("parental leave", sources) == ["It is 25 days a year."]


async def test_a_line_over_a_paragraph_is_a_title_and_no_sentence(make_source: MakeSource) -> None:
    text = "LEAVE FOR PARENTS\n\nIt is 25 days.\n\nHours of leave\n\n9 to 17\n\nPlace\n\nMain Street 5"
    assert "LEAVE FOR PARENTS" not in await quoted("leave for parents?", [make_source(1, text)])
    # One over another such line may be the answer.
    assert await quoted("hours 9 17", [make_source(1, text)]) == ["9 to 17"]


TABLE = (
    "The plans:\n\n| Plan | Price |\n|---|---:|\n| Team | 12 |\n| Firm | 40 |\n\n---\n\n7.\n\nEnd of list."
)


async def test_of_a_table_only_rows_are_quoted_and_of_lists_no_bare_number(make_source: MakeSource) -> None:
    for question in ("plan price", "Plan Price Team", "---", "7."):
        for sentence in await quoted(question, [make_source(1, TABLE)]):
            assert sentence in ("The plans:", "| Team | 12 |", "| Firm | 40 |", "7.\n\nEnd of list.")
    assert await quoted("price Firm", [make_source(1, TABLE)]) == ["| Firm | 40 |"]


async def test_sources_without_a_sentence_give_no_quote_and_the_answer_says_so(
    make_source: MakeSource,
) -> None:
    question = "What is there?"
    quotes = await best_sentences(question, [make_source(1, "|---|---|\n\n — \n")], HashedWords())
    assert quotes == await best_sentences(question, [], HashedWords()) == []
    assert shown(question, quotes) == not_found(question)


def test_quotes_are_shown_on_one_line_each_with_their_number(make_source: MakeSource) -> None:
    one = make_source(1, "Leave is\n  25 days. More.")
    other = make_source(2, "It grows.")
    text = shown("How much?", [quote_of(one, "Leave is\n  25 days."), quote_of(other, "It grows.")])
    assert text == f"{LEAD}\n\n> Leave is 25 days. [1]\n\n> It grows. [2]"


def test_a_row_is_shown_under_the_headers_of_its_own_table(make_source: MakeSource) -> None:
    two = make_source(1, TABLE + "\n\n| Who | When |\n|---|---|\n| Ann | May |\n|  | June |")
    for row, line in [
        ("| Firm | 40 |", "Plan: Firm · Price: 40"),
        ("| Ann | May |", "Who: Ann · When: May"),
        ("|  | June |", "When: June"),
    ]:
        assert shown("x", [quote_of(two, row)]) == f"{LEAD}\n\n> {line} [1]"


def test_a_row_of_a_table_that_began_earlier_is_shown_under_the_header_it_continues(
    make_source: MakeSource,
) -> None:
    source = make_source(
        1,
        "| Team | 12 |\n| a \\| b | 40 |\n\n| Who | When |\n|---|---|\n| Ann | May |",
        context="| Plan | Price |",
    )
    for row, line in [
        ("| Team | 12 |", "Plan: Team · Price: 12"),
        ("| a \\| b | 40 |", "Plan: a | b · Price: 40"),
        ("| Ann | May |", "Who: Ann · When: May"),
    ]:
        assert shown("x", [quote_of(source, row)]) == f"{LEAD}\n\n> {line} [1]"


def test_a_row_that_does_not_match_its_header_is_shown_as_its_cells(make_source: MakeSource) -> None:
    source = make_source(1, "| Plan | Price |\n|---|---|\n| a | b | c |")
    assert shown("x", [quote_of(source, "| a | b | c |")]) == f"{LEAD}\n\n> a · b · c [1]"
    alone = make_source(1, "| a | b |")
    assert shown("x", [quote_of(alone, "| a | b |")]) == f"{LEAD}\n\n> a · b [1]"


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("How much leave?", "en"),
        ("কত দিন ছুটি?", "bn"),
        ("API কী কীভাবে বানাব?", "bn"),
        ("What does ছুটি mean here?", "en"),
        ("有多少天？", "en"),
        ("?", "en"),
        ("", "en"),
    ],
)
def test_our_own_words_are_in_the_language_of_the_question(
    make_source: MakeSource, question: str, language: str
) -> None:
    source = make_source(1, "Leave is 25 days.")
    lead = {"en": LEAD, "bn": "নথি থেকে উদ্ধৃত:"}[language]
    assert language_of(question) == language
    assert shown(question, [quote_of(source, source.text)]) == f"{lead}\n\n> {source.text} [1]"
    assert (not_found(question) == not_found("English")) == (language == "en")


CURL = '```sh\ncurl -N http://host/chat \\\n\n  -d \'{"message": "lost key"}\'\n```'
KEYS = f"A key is shown once. Ask like this:\n\n{CURL}\n\nWho lost a key makes a new key."


async def test_code_is_quoted_where_it_is_asked_for_and_prose_elsewhere(make_source: MakeSource) -> None:
    source = make_source(1, KEYS)
    assert await quoted("lost key message", [source]) == ["Who lost a key makes a new key."]
    asked = "With which command is a lost key a message to the host?"
    assert CURL in await quoted(asked, [source])
    quote = quote_of(source, CURL)
    line = """`curl -N http://host/chat \\ -d '{"message": "lost key"}'`"""
    assert shown(asked, [replace(quote, is_code=True)]) == f"{LEAD}\n\n> {line} [1]"
    # Better than nothing.
    assert await quoted("lost key", [make_source(1, CURL)]) == [CURL]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Keys:\n\n~~~\nlost key\n~~~\n\nA key is lost.", "~~~\nlost key\n~~~"),
        ("A key is lost.\n\n```\nlost key\n\nmore", "```\nlost key\n\nmore"),
        ("lost key --again\n```\n\nA key is lost.", "lost key --again\n```"),
        ("lost key\n```\n\nA key is lost.\n\n```\nlost\n```", "lost key\n```"),
    ],
)
async def test_a_chunk_may_begin_or_end_within_code(text: str, code: str, make_source: MakeSource) -> None:
    assert await quoted("lost key", [make_source(1, text)]) == ["A key is lost."]
    assert code in await quoted("command lost key again more", [make_source(1, text)])


async def test_a_line_drawn_under_a_title_or_a_header_is_not_quoted(make_source: MakeSource) -> None:
    text = (
        "Plan and price\n==============\nA team pays 12.\n\nPlan | Price\n---- | ----\nFirm | 40\n\n"
        "It is paid.\n---\nEnd."
    )
    for question in ("plan price", "price of a firm", "paid"):
        for sentence in await quoted(question, [make_source(1, text)]):
            assert sentence in ("A team pays 12.", "Firm | 40", "It is paid.", "End.")
