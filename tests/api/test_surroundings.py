"""What a model is given besides the hits, and what an admin is told of how they were found."""

from itertools import pairwise
from typing import Any

from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import NewBase
from tests.api.support import check_problem, stream, whole
from tests.conftest import Server

LINES = [f"Crater number {number} was found by the {number}th probe that flew there." for number in range(20)]
TEXT = "# Craters\n\n" + "\n\n".join(LINES)


async def chunks_of(server: Server, document: str) -> dict[str, dict[str, Any]]:
    answer = await server.http.get(f"/api/v1/documents/{document}/chunks?limit=200")
    return {chunk["id"]: chunk for chunk in answer.json()["items"]}


def runs(ordinals: list[int]) -> int:
    """How many stretches of numbers without a gap there are, in this order."""
    return 1 + sum(after != before + 1 for before, after in pairwise(ordinals))


async def test_a_neighbour_can_be_cited_in_its_own_right_and_stands_where_it_is_read(
    generating: Server, model_server: ModelServer, new_base: NewBase
) -> None:
    slug = await new_base(generating)
    shorter = {"chunk_tokens": 32}
    (await generating.http.patch(f"/api/v1/knowledge-bases/{slug}", json=shorter)).raise_for_status()
    await generating.upload(("craters.md", TEXT), slug=slug)
    question = "Who found crater number 7 with a probe?"
    found = (await whole(generating.http, question, knowledge_base=slug))["sources"]
    hits = [source for source in found if source["widens"] is None]
    near = [source for source in found if source["widens"] is not None]
    assert len(hits) == 8 and near
    assert [source["number"] for source in found] == list(range(1, len(found) + 1))
    chunks = await chunks_of(generating, found[0]["document_id"])
    for source in near:
        chunk, of = chunks[source["chunk_id"]], chunks[found[source["widens"] - 1]["chunk_id"]]
        assert chunk["text"] == source["text"]
        assert 1 <= abs(chunk["ordinal"] - of["ordinal"]) <= 2

    prompt = model_server.requests[-1].json["messages"][1]["content"]
    places = {
        prompt.index(f"\n{source['text']}\n"): chunks[source["chunk_id"]]["ordinal"] for source in found
    }
    ordinals = [places[at] for at in sorted(places)]
    assert runs(ordinals) == runs(sorted(ordinals)) < len(ordinals)

    model_server.reply(Reply(f"{near[0]['text']} [{near[0]['number']}]"))
    answer = await whole(generating.http, question, knowledge_base=slug)
    [citation] = answer["citations"]
    assert citation["chunk_id"] == near[0]["chunk_id"]
    assert citation["supported"] and citation["quote"] in TEXT


async def test_an_admin_is_told_how_the_sources_were_found_and_nobody_else(quoting: Server) -> None:
    question = "What is the moon made of?"
    turn = await stream(quoting.http, question, trace=True)
    [traced] = [frame.data for frame in turn.frames if frame.name == "trace"]
    again = (await whole(quoting.http, question, trace=True))["trace"]
    asked = {"query": question, "trace": True, "limit": 8}
    searched = (await quoting.http.post("/api/v1/search", json=asked)).json()["trace"]
    assert traced["hits"] == again["hits"] == searched
    assert traced["answerable"] == again["answerable"] >= traced["refusal_score"]
    assert {"embed", "search", "read_back", "judge"} <= set(traced["timings"])
    refused = await whole(quoting.http, "Zyzzyva?", trace=True)
    assert refused["finish_reason"] == "refused"
    assert refused["trace"]["answerable"] is None or (
        refused["trace"]["answerable"] < refused["trace"]["refusal_score"]
    )

    _, key = await quoting.services.keys.create("no admin", "chat")
    headers = {"Authorization": f"Bearer {key}"}
    answer = await quoting.http.post(
        "/api/v1/chat", json={"message": question, "trace": True}, headers=headers
    )
    check_problem(answer, 403, "forbidden")
    assert (await whole(quoting.http, question))["trace"] is None
