"""A model that fails: before its first word the documents are quoted, after it the turn ends in an error."""

import socket

import pytest

from rag_service.testing.model_server import Fault, ModelServer, Reply
from tests.api.support import check_problem, stored, stream, whole
from tests.conftest import Serve, Server

QUESTION = "What is the moon made of?"
BEFORE = [
    Reply(fault=Fault.RATE_LIMITED),
    Reply(fault=Fault.SERVER_ERROR),
    Reply(fault=Fault.REFUSED),
    Reply(fault=Fault.SILENT_BEFORE_FIRST),
    Reply(fault=Fault.SILENT_BETWEEN, after_tokens=0),
    Reply(fault=Fault.CUT, after_tokens=0),
    Reply(fault=Fault.TRUNCATED_JSON, after_tokens=0),
    Reply(fault=Fault.STREAM_ERROR, after_tokens=0),
    Reply("", fault=Fault.NO_DONE),
]
AFTER = [
    (Reply("The moon is basalt [1].", fault=Fault.SILENT_BETWEEN), "model_timeout"),
    (Reply("The moon is basalt [1].", fault=Fault.CUT), "model_failed"),
    (Reply("The moon is basalt [1].", fault=Fault.TRUNCATED_JSON), "model_failed"),
    (Reply("The moon is basalt [1].", fault=Fault.STREAM_ERROR), "model_failed"),
    (Reply("The moon is basalt [1].", fault=Fault.NO_DONE), "model_cut_off"),
]


def name(case: object) -> str | None:
    return case.fault.value if isinstance(case, Reply) else None


async def check_healthy(server: Server, model_server: ModelServer) -> None:
    """The next turn is a normal one."""
    model_server.reset()
    assert (await server.http.get("/health/ready")).status_code == 200
    body = await whole(server.http, QUESTION)
    assert (body["degraded"], body["finish_reason"]) == (False, "stop")


@pytest.mark.parametrize("reply", BEFORE, ids=name)
async def test_a_fault_before_the_first_word_gives_the_quoted_answer(
    impatient: Server, model_server: ModelServer, reply: Reply
) -> None:
    model_server.reply(reply)
    turn = await stream(impatient.http, QUESTION)
    assert turn.end.name == "done"
    assert turn.text.startswith("Quoted from the documents:")
    assert turn.citations
    assert turn.end.data["degraded"] is True
    assert turn.end.data["finish_reason"] == "stop"
    kept = await stored(impatient.http, turn.start)
    assert (kept["state"], kept["model"], kept["content"]) == ("complete", "extractive", turn.text)
    assert kept["degraded"] is True
    await model_server.wait_for(lambda: model_server.open_streams == 0)
    await check_healthy(impatient, model_server)


@pytest.mark.parametrize(("reply", "code"), AFTER, ids=name)
async def test_a_fault_after_the_first_word_ends_the_turn_in_an_error(
    impatient: Server, model_server: ModelServer, reply: Reply, code: str
) -> None:
    model_server.reply(reply)
    turn = await stream(impatient.http, QUESTION)
    assert turn.end.name == "error"
    assert turn.end.data["code"] == code
    assert turn.end.data["retryable"] is True
    assert turn.end.data["detail"]
    assert turn.text and "The moon is basalt [1].".startswith(turn.text)
    kept = await stored(impatient.http, turn.start)
    assert (kept["state"], kept["error_code"], kept["content"]) == ("failed", code, turn.text)
    assert kept["finish_reason"] is None
    assert kept["model"] == "openai:test-model"
    assert kept["sources"] == turn.sources
    await model_server.wait_for(lambda: model_server.open_streams == 0)
    await check_healthy(impatient, model_server)


async def test_without_streaming_a_fault_after_the_first_word_is_a_problem(
    impatient: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("The moon is basalt [1].", fault=Fault.CUT))
    answer = await impatient.http.post("/api/v1/chat", json={"message": QUESTION, "stream": False})
    check_problem(answer, 503, "model_failed")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_conversation_goes_on_after_a_failed_answer(
    impatient: Server, model_server: ModelServer
) -> None:
    model_server.script(Reply("The moon is basalt [1].", fault=Fault.CUT))
    failed = await stream(impatient.http, QUESTION)
    model_server.reply(Reply("27 days [1]."))
    turn = await stream(impatient.http, "And the orbit?", conversation_id=failed.start["conversation_id"])
    assert turn.text == "27 days [1]."


async def test_a_model_that_asks_for_patience_is_asked_again_when_it_said(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.script(Reply(fault=Fault.RATE_LIMITED, retry_after=1))
    turn = await stream(generating.http, QUESTION)
    assert turn.end.data["degraded"] is False
    first, second = model_server.requests
    assert second.at - first.at >= 1


async def test_a_model_that_keeps_failing_is_given_up_after_three_tries(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply(fault=Fault.SERVER_ERROR))
    turn = await stream(generating.http, QUESTION)
    assert turn.end.data["degraded"] is True
    assert len(model_server.requests) == 3


async def test_a_model_server_that_is_not_there_gives_the_quoted_answer(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with serve(
        chat_model="openai:test-model",
        openai_base_url=f"http://127.0.0.1:{port}/v1",
        model_first_token_seconds=0.5,
    ) as server:
        await server.upload(("moon.md", "The moon is made of basalt."))
        body = await whole(server.http, QUESTION)
        assert (body["degraded"], body["finish_reason"]) == (True, "stop")
        assert "The moon is made of basalt. [1]" in body["answer"]
