"""Answers as a client gets them: the stream's order and form, and the same as one JSON."""

import httpx
import pytest

from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import NewBase
from tests.api.support import frames_of, live_frames, messages, stored, stream, whole
from tests.conftest import Server

QUESTION = "What is the moon made of?"


@pytest.fixture(params=["quoting", "generating"])
def server_of_either_kind(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


async def test_a_question_is_answered_with_a_citation_of_its_source(quoting: Server) -> None:
    body = await whole(quoting.http, QUESTION)
    assert "The moon is made of basalt and anorthosite. [1]" in body["answer"]
    assert body["citations"][0]["quote"] == "The moon is made of basalt and anorthosite."
    assert body["sources"][0]["filename"] == "moon.md"
    assert body["sources"][0]["title"] == "Moon"


async def test_a_stream_tells_start_then_sources_then_the_answer_and_ends_once(quoting: Server) -> None:
    turn = await stream(quoting.http, QUESTION)
    names = [frame.name for frame in turn.frames]
    assert names[:3] == ["start", "sources", "delta"]
    assert "citation" in names
    assert names[-1] == "done"
    assert set(turn.start) == {"run_id", "conversation_id", "message_id"}
    assert turn.end.data["message_id"] == turn.start["message_id"]
    assert turn.end.data["finish_reason"] == "stop"
    assert [source["number"] for source in turn.sources] == list(range(1, len(turn.sources) + 1))
    scores = [source["score"] for source in turn.sources]
    assert scores == sorted(scores, reverse=True)


async def test_a_source_says_where_it_is_from(quoting: Server) -> None:
    turn = await stream(quoting.http, QUESTION)
    assert set(turn.sources[0]) >= {
        *("number", "document_id", "chunk_id", "filename", "title", "headings", "page", "score", "text")
    }


async def test_a_stream_is_neither_cached_nor_held_back_by_proxies(quoting: Server) -> None:
    answer = await quoting.http.post("/api/v1/chat", json={"message": QUESTION})
    assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


async def test_streamed_stored_and_whole_answers_are_the_same(server_of_either_kind: Server) -> None:
    server = server_of_either_kind
    turn = await stream(server.http, QUESTION)
    kept = await stored(server.http, turn.start)
    body = await whole(server.http, QUESTION)
    assert turn.text == kept["content"] == body["answer"]
    assert turn.citations == kept["citations"] == body["citations"] != []
    assert turn.sources == kept["sources"] == body["sources"] != []
    assert kept["state"] == "complete"
    assert kept["finish_reason"] == turn.end.data["finish_reason"] == body["finish_reason"] == "stop"
    assert kept["model"] == turn.end.data["model"] == body["model"]
    assert kept["timings"] == turn.end.data["timings"]


async def test_a_turn_without_streaming_has_the_documented_shape(quoting: Server) -> None:
    body = await whole(quoting.http, QUESTION)
    assert set(body) >= {
        *("conversation_id", "message_id", "answer", "citations", "sources", "finish_reason", "usage"),
        "timings",
    }
    assert body["timings"]["total"] > 0
    asked, answered = await messages(quoting.http, body["conversation_id"])
    assert (asked["role"], asked["content"], asked["state"]) == ("user", QUESTION, "complete")
    assert answered["parent_id"] == asked["id"]


async def test_the_first_words_arrive_while_the_model_still_writes(
    generating: Server, model_server: ModelServer
) -> None:
    model_server.reply(Reply("slowly " * 60, token_delay=0.02))
    request = {"message": QUESTION}
    async with generating.http.stream("POST", "/api/v1/chat", json=request) as answer:
        async for frame in live_frames(answer):
            if frame.name == "delta":
                assert model_server.open_streams == 1
                break


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\r", "\n\nevent: done\ndata: {}\n\n"])
async def test_no_character_of_a_document_or_question_breaks_a_frame(
    quoting: Server, new_base: NewBase, separator: str
) -> None:
    """Clients cut a stream into lines in many ways; some at every line break that Unicode knows."""
    slug = await new_base(quoting)
    await quoting.upload(("breaks.txt", f"Comets are made{separator}of dirty ice."), slug=slug)
    request = {"message": f"What are{separator}comets made of?", "knowledge_base": slug}
    names = []
    async with quoting.http.stream("POST", "/api/v1/chat", json=request) as answer:
        lines = [line async for line in answer.aiter_lines()]
    for line in lines:
        assert line == "" or line.split(": ")[0] in {"event", "data", "id"}, line
        names += [line.removeprefix("event: ")] if line.startswith("event: ") else []
    assert names[:2] == ["start", "sources"] and names.count("done") == 1
    frames = frames_of("\n".join([*lines, ""]))
    assert "dirty ice" in frames[1].data["sources"][0]["text"]


async def test_frames_hold_real_letters_not_escapes(quoting: Server) -> None:
    answer: httpx.Response = await quoting.http.post("/api/v1/chat", json={"message": "চাঁদ কী?"})
    assert "নথি" in answer.text
