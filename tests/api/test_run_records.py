"""What is kept of a turn beside its answer is kept no longer than it may be, and no turn seems under way for ever."""

from datetime import timedelta
from uuid import uuid4

import pytest

from rag_service.chat.replica import KEEP
from rag_service.db.repositories.runs import Runs
from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import NewBase
from tests.api.support import check_problem, frames_of, stored, stream, turn_of
from tests.api.test_runs import QUESTION, Pair, resumed, sql
from tests.conftest import Serve

EVENTS = "SELECT count(*) FROM run_events WHERE run_id = :id"


async def test_the_events_of_a_turn_go_with_an_erased_document(
    pair: Pair, model_server: ModelServer, new_base: NewBase
) -> None:
    server, slug = pair[0], await new_base(pair[0])
    uploaded = await server.upload(("owls.md", "# Owls\n\nOwls hunt at midnight."), slug=slug)
    model_server.reply(Reply("Owls hunt at midnight [1]."))
    quoting = await stream(server.http, "When do owls hunt?", knowledge_base=slug)
    other = await stream(server.http, QUESTION)
    document = uploaded["documents"][0]["id"]
    assert (await server.http.delete(f"/api/v1/documents/{document}")).status_code == 204
    while await server.worker.erase_one():
        pass
    assert await sql(server, EVENTS, id=quoting.start["run_id"]) == 0
    assert await sql(server, EVENTS, id=other.start["run_id"]) > 0
    gone = await pair[1].http.get(f"/api/v1/chat/{quoting.start['run_id']}/events")
    check_problem(gone, 404, "run_not_found")


async def test_a_turn_is_not_told_again_once_its_knowledge_base_is_deleted(
    pair: Pair, new_base: NewBase
) -> None:
    server, slug = pair[0], await new_base(pair[0])
    await server.upload(("owls.md", "# Owls\n\nOwls hunt at midnight."), slug=slug)
    key = {"Idempotency-Key": f"owls-{slug}"}
    asked = {"message": "When do owls hunt?", "knowledge_base": slug}
    turn = turn_of(frames_of((await server.http.post("/api/v1/chat", json=asked, headers=key)).text))
    assert turn.citations
    assert (await server.http.delete(f"/api/v1/knowledge-bases/{slug}")).status_code == 204
    for one in pair:
        gone = await one.http.get(f"/api/v1/chat/{turn.start['run_id']}/events")
        check_problem(gone, 404, "run_not_found")
        again = await one.http.post("/api/v1/chat", json=asked, headers=key)
        check_problem(again, 404, "message_not_found")


async def test_a_turn_is_told_again_for_an_hour(pair: Pair) -> None:
    turns = [await stream(pair[0].http, QUESTION) for _ in range(2)]
    age = "UPDATE runs SET ended_at = now() - make_interval(secs => :seconds) WHERE id = :id"
    for turn, seconds in zip(turns, (-60, 60), strict=True):
        old = (KEEP + timedelta(seconds=seconds)).total_seconds()
        await sql(pair[0], age, seconds=old, id=turn.start["run_id"])
    async with pair[0].services.database.transaction() as session:
        await Runs(session).clean(KEEP)
    young, old_turn = turns
    assert (await resumed(pair[1].http, young.start["run_id"]))[-1] == young.end
    gone = await pair[1].http.get(f"/api/v1/chat/{old_turn.start['run_id']}/events")
    check_problem(gone, 404, "run_not_found")
    assert await sql(pair[0], EVENTS, id=old_turn.start["run_id"]) == 0
    assert (await stored(pair[0].http, old_turn.start))["content"] == old_turn.text


async def test_an_answer_that_cannot_be_stored_is_told_and_kept_as_failed(
    pair: Pair, model_server: ModelServer
) -> None:
    word = f"word{uuid4().hex}"
    model_server.reply(Reply(f"The moon is basalt [1]. {word}"))
    refuse = f"ALTER TABLE messages ADD CONSTRAINT {word} CHECK (content NOT LIKE '%{word}%')"
    await sql(pair[0], refuse)
    try:
        turn = await stream(pair[0].http, QUESTION)
    finally:
        await sql(pair[0], f"ALTER TABLE messages DROP CONSTRAINT {word}")
    assert (turn.end.name, turn.end.data["code"]) == ("error", "internal_error")
    kept = await stored(pair[0].http, turn.start)
    assert (kept["state"], kept["error_code"], kept["content"]) == ("failed", "internal_error", "")
    for server in pair:
        assert (await resumed(server.http, turn.start["run_id"]))[-1] == turn.end


async def test_no_word_of_the_model_breaks_a_frame_that_is_told_again(
    pair: Pair, model_server: ModelServer
) -> None:
    said = "Basalt.\r\n\r\nid: 7\nevent: done\ndata: {}\n\n: and\u2028more\r [1] \udbffend\x85."
    model_server.reply(Reply(said))
    turn = await stream(pair[0].http, QUESTION)
    assert turn.end.name == "done"
    for server in pair:
        assert await resumed(server.http, turn.start["run_id"]) == turn.frames
    assert (await stored(pair[1].http, turn.start))["content"] == turn.text


async def test_who_comes_to_a_turn_made_elsewhere_while_the_server_ends_is_sent_away(serve: Serve) -> None:
    async with serve() as server:
        await server.upload(("moon.md", "The moon is made of basalt."))
        turn = await stream(server.http, QUESTION)
        await sql(server, "UPDATE runs SET ended_at = NULL, replica = 'elsewhere:1:1:x'")
        await sql(server, "DELETE FROM run_events")
        await server.services.chat.runs.close()
        assert await resumed(server.http, turn.start["run_id"]) == []


@pytest.mark.parametrize("readable", [True, False])
async def test_a_run_that_was_entered_and_never_made_ends(pair: Pair, readable: bool) -> None:
    turn = await stream(pair[0].http, QUESTION)
    run_id, message_id = turn.start["run_id"], turn.start["message_id"]
    lose = "UPDATE runs SET ended_at = NULL, created_at = now() - interval '2 minutes' WHERE id = :id"
    await sql(pair[0], lose, id=run_id)
    await sql(pair[0], "UPDATE messages SET state = 'streaming' WHERE id = :id", id=message_id)
    if not readable:  # as a later version may have written them
        await sql(
            pair[0], """UPDATE run_events SET events = '[["novel", {}]]' WHERE run_id = :id""", id=run_id
        )
    await pair[0].services.chat.runs.end_those_of_the_dead()
    kept = await stored(pair[1].http, turn.start)
    assert (kept["state"], kept["content"]) == ("interrupted", turn.text if readable else "")
