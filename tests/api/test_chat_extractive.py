"""Answers without a language model: quotes, and said to be quotes."""

from tests.api.conftest import NewBase
from tests.api.support import stored, stream, whole
from tests.conftest import Server

PRICES = """# Prices

| Item | Price | Currency |
| --- | --- | --- |
| Telescope | 480 | EUR |
| Tripod | 75 | EUR |
"""
BANGLA = "চাঁদ ব্যাসল্ট ও অ্যানর্থোসাইট দিয়ে তৈরি। সূর্য হাইড্রোজেন দিয়ে তৈরি।"


async def test_an_extractive_answer_says_that_it_quotes(quoting: Server) -> None:
    body = await whole(quoting.http, "How long does the moon take to circle the Earth?")
    assert body["answer"].startswith("Quoted from the documents:")
    assert "> The moon takes 27 days to circle the Earth. [" in body["answer"]
    assert body["model"] == "extractive"
    assert body["degraded"] is False
    assert body["usage"] == {}


async def test_the_claim_of_a_quote_is_the_quote(quoting: Server) -> None:
    turn = await stream(quoting.http, "How long does the moon take to circle the Earth?")
    for citation in turn.citations:
        start, end = citation["answer_span"]
        assert turn.text[start:end] == citation["quote"]


async def test_an_extractive_answer_names_no_prompt(quoting: Server) -> None:
    turn = await stream(quoting.http, "How heavy is the moon?")
    assert (await stored(quoting.http, turn.start))["prompts"] == []


async def test_a_bangla_question_gets_a_bangla_lead_and_finds_a_bangla_document(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("চাঁদ.txt", BANGLA), ("tides.txt", "Tides follow the moon."), slug=slug)
    body = await whole(quoting.http, "চাঁদ কী দিয়ে তৈরি?", knowledge_base=slug)
    assert body["answer"].startswith("নথি থেকে উদ্ধৃত:")
    assert body["citations"][0]["quote"] == "চাঁদ ব্যাসল্ট ও অ্যানর্থোসাইট দিয়ে তৈরি।"
    assert body["sources"][0]["filename"] == "চাঁদ.txt"


async def test_where_nothing_is_found_the_answer_is_a_refusal_without_citations(quoting: Server) -> None:
    turn = await stream(quoting.http, "Quarterly vaccination budget?")
    said, offered = turn.text.split("\n\n")
    assert said == "I found nothing in the documents that answers this question."
    assert offered.splitlines()[0] == "The nearest topics in the documents:"
    assert {"- Moon › Orbit", "- Moon › Mass"} <= set(offered.splitlines())
    assert turn.sources == [] and turn.citations == []
    assert turn.end.data["finish_reason"] == "refused"
    kept = await stored(quoting.http, turn.start)
    assert (kept["state"], kept["finish_reason"]) == ("complete", "refused")
    assert kept["content"] == said  # a heading would outlive its document


async def test_a_refusal_of_a_bangla_question_is_in_bangla(quoting: Server) -> None:
    body = await whole(quoting.http, "জেব্রার টিকার বাজেট কত?")
    assert body["answer"].startswith(
        "এই প্রশ্নের উত্তর নথিগুলোতে পাওয়া যায়নি।\n\nনথিগুলোতে সবচেয়ে কাছাকাছি বিষয়:\n- Moon"
    )
    assert body["finish_reason"] == "refused"


async def test_an_empty_knowledge_base_refuses(quoting: Server, new_base: NewBase) -> None:
    body = await whole(quoting.http, "What is the moon made of?", knowledge_base=await new_base(quoting))
    assert (body["finish_reason"], body["citations"], body["sources"]) == ("refused", [], [])


async def test_a_row_of_a_table_is_quoted_with_its_headers(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("prices.md", PRICES), slug=slug)
    body = await whole(quoting.http, "What is the price of a telescope?", knowledge_base=slug)
    assert "> Item: Telescope · Price: 480 · Currency: EUR [1]" in body["answer"]
    telescope = next(item for item in body["citations"] if "Telescope" in item["quote"])
    assert telescope["quote"] == "| Telescope | 480 | EUR |"
    start, end = telescope["answer_span"]
    assert body["answer"][start:end] == "Item: Telescope · Price: 480 · Currency: EUR"


async def test_a_sentence_over_two_lines_is_shown_on_one_and_cited_verbatim(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("comets.txt", "Comets are made\nof dirty ice."), slug=slug)
    body = await whole(quoting.http, "What are comets made of?", knowledge_base=slug)
    assert "> Comets are made of dirty ice. [1]" in body["answer"]
    assert body["citations"][0]["quote"] == "Comets are made\nof dirty ice."


async def test_a_question_of_signs_alone_gets_a_proper_end(quoting: Server) -> None:
    turn = await stream(quoting.http, "???")
    assert turn.end.name == "done"
    assert turn.end.data["finish_reason"] == "refused"
