"""Models that stand in for each other, and what a turn says of them; what a model adds to a search."""

import socket

import pytest

from rag_service.chat import expansion
from rag_service.settings import Price
from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.support import Frame, live_frames, stored, stream, whole
from tests.conftest import Serve, Server

QUESTION = "What is the moon made of?"
MOON = ("moon.md", "The moon is made of basalt.\n\n# Mass\n\nIt weighs 73 quintillion tonnes.")


async def test_an_answer_of_the_model_that_stands_in_names_it_and_tells_all_it_cost(
    serve: Serve, model_server: ModelServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with serve(
        chat_model="ollama:dead",
        ollama_host=f"http://127.0.0.1:{port}",
        fallback_models=["openai:test-model"],
        openai_base_url=model_server.base_url,
        model_prices={"openai:test-model": Price(input=1000, output=2000)},
    ) as server:
        await server.upload(MOON)
        used = {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45}
        model_server.reply(Reply("Basalt [1].", usage=used))
        first = await whole(server.http, QUESTION)
        assert (first["answer"], first["model"], first["degraded"]) == (
            "Basalt [1].",
            "openai:test-model",
            False,
        )
        turn = await stream(server.http, "And why?", conversation_id=first["conversation_id"])
    usage = turn.end.data["usage"]
    assert [(call["purpose"], call["model"], call["outcome"], call["tries"]) for call in usage["calls"]] == [
        ("condense", "ollama:dead", "model_failed", 3),
        ("condense", "openai:test-model", "complete", 1),
        ("answer", "ollama:dead", "model_failed", 3),
        ("answer", "openai:test-model", "complete", 1),
    ]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (80, 10, 90)
    assert (usage["cost"], usage["estimated"]) == (0.1, False)


async def test_a_turn_that_is_cut_short_keeps_what_it_used(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("The moon is basalt [1].", fault=Fault.CUT))
    turn = await stream(generating.http, QUESTION)
    usage = (await stored(generating.http, turn.start))["usage"]
    assert usage["estimated"] and usage["input_tokens"] > 100 and usage["output_tokens"] > 0
    assert [call["outcome"] for call in usage["calls"]] == ["model_failed"]


async def test_a_turn_that_is_stopped_tells_what_it_used(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("The moon is basalt [1]. " + "and so on " * 500, token_delay=0.02))
    frames: list[Frame] = []
    async with generating.http.stream("POST", "/api/v1/chat", json={"message": QUESTION}) as answer:
        async for frame in live_frames(answer):
            frames.append(frame)
            if frame.name == "delta" and [one.name for one in frames].count("delta") == 1:
                await generating.http.post(f"/api/v1/chat/{frames[0].data['run_id']}/stop")
    usage = frames[-1].data["usage"]
    assert [(call["outcome"], call["estimated"]) for call in usage["calls"]] == [("stopped", True)]
    assert usage["input_tokens"] > 100 and usage["output_tokens"] > 0


async def test_a_model_that_ignores_its_limit_of_tokens_is_cut_off(
    serve: Serve, model_server: ModelServer
) -> None:
    async with serve(
        chat_model="openai:test-model", openai_base_url=model_server.base_url, answer_tokens=20
    ) as server:
        await server.upload(MOON)
        model_server.reply(Reply("Basalt [1]. " + "And so on. " * 2000))
        turn = await stream(server.http, QUESTION)
        assert turn.end.name == "done" and turn.end.data["finish_reason"] == "length"
        assert 300 < len(turn.text) <= 20 * 16 and turn.text.startswith("Basalt [1]. And so on.")
        kept = await stored(server.http, turn.start)
        assert (kept["state"], kept["finish_reason"]) == ("complete", "length")
        assert kept["usage"]["estimated"] and kept["usage"]["output_tokens"] > 0
        assert turn.citations and model_server.open_streams == 0


async def test_a_question_that_says_enough_is_not_rewritten(
    generating: Server, model_server: ModelServer
) -> None:
    first = await whole(generating.http, QUESTION)
    long = "Takes the moon 27 days to circle Earth, is its far side of basalt and anorthosite never seen, its mass 73?"
    turn = await stream(generating.http, long, conversation_id=first["conversation_id"])
    assert [call["purpose"] for call in turn.end.data["usage"]["calls"]] == ["answer"]
    kept = await stored(generating.http, turn.start)
    assert kept["prompts"] and "condense" not in {prompt["name"] for prompt in kept["prompts"]}
    model_server.script(Reply("How much does the moon weigh?"))
    turn = await stream(generating.http, "Is it heavy?", conversation_id=first["conversation_id"])
    assert [call["purpose"] for call in turn.end.data["usage"]["calls"]] == ["condense", "answer"]


async def test_other_wordings_find_what_the_question_does_not_and_a_slow_model_holds_nobody_up(
    serve: Serve, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(
        chat_model="openai:test-model",
        openai_base_url=model_server.base_url,
        query_expansion="multi_query",
        retrieve_chunks=2,
    ) as server:
        others = ((f"{word}.md", f"The moon and {word} {word}.") for word in ("tides", "craters", "eclipses"))
        await server.upload(("heavy.md", "It weighs 73 quintillion tonnes."), *others)
        question = "How heavy is the moon?"
        model_server.script(Reply("1. tonnes weighs quintillion\n- It weighs 73\n\n"))
        turn = await stream(server.http, question)
        assert "quintillion" in " ".join(source["text"] for source in turn.sources)
        assert [call["purpose"] for call in turn.end.data["usage"]["calls"]] == ["expand", "answer"]

        monkeypatch.setattr(expansion, "SECONDS", 0.3)
        model_server.script(Reply(fault=Fault.SILENT_BEFORE_FIRST))
        turn = await stream(server.http, question)
        assert (
            expansion.SECONDS * 1000 <= turn.end.data["timings"]["expand"] < expansion.SECONDS * 1000 + 1000
        )
        assert "quintillion" not in " ".join(source["text"] for source in turn.sources)
        assert [call["outcome"] for call in turn.end.data["usage"]["calls"]] == ["stopped", "complete"]
