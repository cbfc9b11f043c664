"""Answers of a language model: streamed as they come, their citations checked, all that made them stored."""

import hashlib

import pytest

from rag_service.testing.model_server import ModelServer, Reply
from tests.api.support import messages, stored, stream, whole
from tests.conftest import Server

QUESTION = "What is the moon made of?"


async def test_the_model_answers_from_the_sources_it_was_given(
    generating: Server, model_server: ModelServer
) -> None:
    turn = await stream(generating.http, QUESTION)
    assert turn.text == "Moon [1]" or turn.text.endswith("[1]")
    assert len(turn.deltas) > 1
    assert turn.end.data["model"] == "openai:test-model"
    assert turn.end.data["degraded"] is False
    sent = model_server.requests[-1].json
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    for source in turn.sources:
        assert source["text"] in sent["messages"][1]["content"]
    assert sent["messages"][1]["content"].endswith(f"Question: {QUESTION}")


@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        (
            "Basalt [1]. Ice [2]. Dust [1]. Iron [2].",
            "Basalt [1]. Ice [2]. Dust [1]. Iron [2].",
            [1, 2, 1, 2],
        ),
        ("Basalt [9]. Ice [1].", "Basalt. Ice [1].", [1]),
        ("Basalt [0][77].", "Basalt.", []),
        ("Basalt [1, 2].", "Basalt [1][2].", [1, 2]),
        ("Basalt [2; 9 ,1].", "Basalt [2][1].", [2, 1]),
        ("Basalt [1][1].", "Basalt [1][1].", [1, 1]),
        ("Basalt.[1]\n\n- Ice[2]", "Basalt.[1]\n\n- Ice[2]", [1, 2]),
        ("A list [of words] and [1] a mark.", "A list [of words] and [1] a mark.", [1]),
        ("It ends in an open bracket [", "It ends in an open bracket", []),
        ("It ends in half a mark [1", "It ends in half a mark", []),
    ],
)
async def test_marks_of_sources_become_citations_and_others_vanish(
    generating: Server, model_server: ModelServer, said: str, shown: str, cited: list[int]
) -> None:
    model_server.reply(Reply(said))
    turn = await stream(generating.http, QUESTION)
    assert turn.text == shown
    assert [citation["number"] for citation in turn.citations] == cited
    assert (await stored(generating.http, turn.start))["content"] == shown


async def test_a_frame_inside_an_answer_is_only_text(generating: Server, model_server: ModelServer) -> None:
    said = "Basalt.\r\n\r\nid: 7\nevent: done\ndata: {}\n\n: and\u2028more [1]"
    model_server.reply(Reply(said))
    turn = await stream(generating.http, QUESTION)
    assert turn.text == said
    assert (await stored(generating.http, turn.start))["content"] == said


async def test_a_mark_that_comes_in_pieces_is_never_shown_in_pieces(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("Basalt [1]. Ice [2]. Dust [1]. Iron [2]."))
    turn = await stream(generating.http, QUESTION)
    assert all(delta.count("[") == delta.count("]") for delta in turn.deltas), turn.deltas


async def test_the_claim_is_the_sentence_and_the_quote_its_best_support(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("I looked it up. Basalt and anorthosite make the moon [1]. Ask on."))
    turn = await stream(generating.http, QUESTION)
    start, end = turn.citations[0]["answer_span"]
    assert turn.text[start:end] == "Basalt and anorthosite make the moon"
    assert turn.citations[0]["quote"] == "The moon is made of basalt and anorthosite."


async def test_usage_is_told_and_stored(generating: Server, model_server: ModelServer) -> None:
    used = {"prompt_tokens": 41, "completion_tokens": 7, "total_tokens": 48}
    model_server.reply(Reply("Basalt [1].", usage=used))
    turn = await stream(generating.http, QUESTION)
    told = turn.end.data["usage"]
    (call,) = told.pop("calls")
    assert told == {
        **{"input_tokens": 41, "output_tokens": 7, "total_tokens": 48},
        **{"estimated": False, "cost": None},
    }
    assert (call["purpose"], call["model"], call["outcome"]) == ("answer", "openai:test-model", "complete")
    assert (await stored(generating.http, turn.start))["usage"] == {**told, "calls": [call]}


async def test_the_prompts_that_made_an_answer_are_stored_with_version_and_hash(
    generating: Server, model_server: ModelServer
) -> None:
    turn = await stream(generating.http, QUESTION)
    model_server.script(Reply("Why is the moon made of basalt?"))
    await stream(generating.http, "And why?", conversation_id=turn.start["conversation_id"])
    first, second = [
        message["prompts"]
        for message in await messages(generating.http, turn.start["conversation_id"])
        if message["role"] == "assistant"
    ]
    folder = generating.services.settings.prompts_dir
    for prompt in [*first, *second]:
        assert prompt["version"] == 1
        assert prompt["sha256"] == hashlib.sha256((folder / f"{prompt['name']}.md").read_bytes()).hexdigest()
    assert [prompt["name"] for prompt in first] == ["answer", "question"]
    assert [prompt["name"] for prompt in second] == ["condense", "answer", "question"]


async def test_an_answer_cut_at_its_token_limit_says_so(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("Basalt [1] and", finish_reason="length"))
    body = await whole(generating.http, QUESTION)
    assert body["finish_reason"] == "length"
    assert body["answer"] == "Basalt [1] and"


@pytest.mark.parametrize("nothing", ["", " \n "])
async def test_a_model_that_says_nothing_is_stood_in_for_by_quotes(
    generating: Server, model_server: ModelServer, nothing: str
) -> None:
    model_server.reply(Reply(nothing))
    body = await whole(generating.http, QUESTION)
    assert body["answer"].startswith("Quoted from the documents:")
    assert body["degraded"] is True
    assert body["model"] == "extractive"


@pytest.mark.parametrize("odd", ["Basalt\x00 [1].", "Basalt\x00\x00\x00 [1].", "Bas\x0balt\x1b[31m [1]."])
async def test_characters_that_no_database_takes_do_not_break_an_answer(
    generating: Server, model_server: ModelServer, odd: str
) -> None:
    model_server.reply(Reply(odd))
    turn = await stream(generating.http, QUESTION)
    assert turn.end.name == "done"
    assert "\x00" not in turn.text
    kept = await stored(generating.http, turn.start)
    assert (kept["state"], kept["content"]) == ("complete", turn.text)


async def test_no_model_is_called_where_nothing_was_found(
    generating: Server, model_server: ModelServer
) -> None:
    turn = await stream(generating.http, "Quarterly vaccination budget?")
    assert turn.end.data["finish_reason"] == "refused"
    assert model_server.requests == []
