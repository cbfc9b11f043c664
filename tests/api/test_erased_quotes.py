"""When a document is erased, what stored answers quoted of it goes with it."""

import asyncio
import json
from typing import Any

from sqlalchemy import text

from rag_service.testing.model_server import ModelServer, Reply
from tests.api.support import check_citation, live_frames, messages, stored, whole
from tests.conftest import Serve, Server

OWLS = ("owls.md", "# Owls\n\nOwls hunt at midnight.")
LARKS = ("larks.md", "# Larks\n\nLarks sing at dawn.")


async def erase(server: Server, name: str) -> None:
    listed = (await server.http.get("/api/v1/knowledge-bases/default/documents")).json()["items"]
    (id,) = [item["id"] for item in listed if item["filename"] == name]
    assert (await server.http.delete(f"/api/v1/documents/{id}")).status_code == 204
    while await server.worker.erase_one():
        pass


def model(server: ModelServer) -> dict[str, Any]:
    return {"chat_model": "openai:test-model", "openai_base_url": server.base_url}


async def test_a_stored_answer_loses_what_came_of_an_erased_document_and_keeps_the_rest(
    serve: Serve, model_server: ModelServer
) -> None:
    async with serve(refusal_score=-1, **model(model_server)) as server:
        await server.upload(OWLS, LARKS)
        model_server.script(
            Reply("Midnight is theirs. Owls hunt at midnight [1]. Larks sing at dawn [2]. Owls do not.")
        )
        turn = await whole(server.http, "Owls hunt at midnight, when?")
        assert [source["filename"] for source in turn["sources"]] == ["owls.md", "larks.md"]
        await erase(server, "owls.md")

        question, answer = await messages(server.http, turn["conversation_id"])
        assert question["content"] == "Owls hunt at midnight, when?"  # the caller's own words stay
        assert answer["content"] == "[…] [1]. Larks sing at dawn [2]. […]."
        gone, kept = answer["citations"]
        check_citation(kept, answer["sources"], answer["content"])
        assert (gone["erased"], gone["quote"]) == (True, "")
        assert "midnight" not in json.dumps([answer["sources"], answer["citations"], answer["content"]])
        assert [source["number"] for source in answer["sources"]] == [1, 2]
        assert answer["sources"][0]["document_id"] == turn["sources"][0]["document_id"]

        exported = await server.http.get(f"/api/v1/conversations/{turn['conversation_id']}/export")
        assert "idnight [" not in exported.text and "Owls do not" not in exported.text
        query = "SELECT retrieval_query FROM messages WHERE id = :id"
        assert await sql(server, query, id=turn["message_id"]) is None

        model_server.script(Reply("And what?"), Reply("Nothing."))
        await whole(server.http, "And then?", conversation_id=turn["conversation_id"])
        assert all("midnight [1]" not in str(request.json) for request in model_server.requests[-2:])


async def test_a_quoting_answer_loses_its_quotes_too(server: Server) -> None:
    await server.upload(OWLS)
    turn = await whole(server.http, "When do owls hunt?")
    await erase(server, "owls.md")
    answer = await stored(server.http, turn)
    assert answer["content"] == "Quoted from the documents:\n\n> […] [1]"


async def test_hundreds_of_answers_are_cleaned_and_those_about_others_left(server: Server) -> None:
    await server.upload(OWLS, LARKS)
    about = [await whole(server.http, "When do larks sing at dawn?") for _ in range(2)]
    first = await whole(server.http, "When do owls hunt at midnight?")
    await server.http.get("/api/v1/conversations")
    copies = (
        "INSERT INTO messages (id, conversation_id, role, state, content, sources, citations, prompts, usage, "
        "timings) SELECT gen_random_uuid(), conversation_id, role, state, content, sources, citations, prompts, "
        "usage, timings FROM messages, generate_series(1, 450) WHERE id = :id"
    )
    await sql(server, copies, id=first["message_id"])
    owls = next(source for source in first["sources"] if source["filename"] == "owls.md")
    count = "SELECT count(*) FROM messages WHERE content LIKE :text OR sources::text LIKE :text"
    assert await sql(server, count, text="%Owls hunt%") >= 451
    await erase(server, "owls.md")
    assert await sql(server, count, text="%Owls hunt%") == 0
    assert owls["text"] == "Owls hunt at midnight."
    for turn in about:
        assert "Larks sing" in (await stored(server.http, turn))["content"]


async def sql(server: Server, statement: str, **values: object) -> Any:

    async with server.services.database.transaction() as session:
        result = await session.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]


async def test_a_document_deleted_while_it_is_quoted_does_not_come_back_with_the_answer(
    serve: Serve, model_server: ModelServer
) -> None:
    async with serve(**model(model_server)) as server:
        await server.upload(OWLS)
        model_server.script(Reply("Owls hunt at midnight [1]. And so on and on it goes.", token_delay=0.2))
        body = {"message": "When do owls hunt?"}
        async with server.http.stream("POST", "/api/v1/chat", json=body) as response:
            frames = live_frames(response)
            start = (await anext(frames)).data
            async for frame in frames:
                if frame.name == "citation":
                    await erase(server, "owls.md")
                    break
            async with asyncio.timeout(15):
                names = [frame.name async for frame in frames]
        assert names[-1] == "done"
        answer = await stored(server.http, start)
        assert answer["content"] == "[…] [1]. […]."
        assert "midnight" not in json.dumps([answer["sources"], answer["citations"], answer["content"]])


async def test_where_quotes_are_to_be_kept_they_stay(serve: Serve) -> None:
    async with serve(keep_quotes=True) as server:
        await server.upload(OWLS)
        turn = await whole(server.http, "When do owls hunt?")
        await erase(server, "owls.md")
        answer = await stored(server.http, turn)
        assert (answer["content"], answer["sources"]) == (turn["answer"], turn["sources"])
