"""Feedback, refused questions, and the erasure of a person: who may see what, and what is left of it."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from evals.feedback import fetch_feedback, import_feedback
from evals.suite_files import load_suite
from ingest.housekeeping import erase_outdated
from rag_service.client import Client
from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import Guest, NewBase
from tests.api.support import check_problem, live_frames, messages, whole
from tests.conftest import Server

QUESTION = "What is the moon made of?"
API = "/api/v1"


async def rate(http: httpx.AsyncClient, message: str, **body: Any) -> httpx.Response:
    return await http.put(f"{API}/messages/{message}/feedback", json=body)


async def test_an_answer_is_rated_by_the_one_who_asked_and_admins_read_it(
    quoting: Server, guest: Guest, tmp_path: Path
) -> None:
    caller, stranger = await guest(quoting), await guest(quoting)
    first = await whole(caller, QUESTION)
    turn = await whole(caller, "How many tonnes does it weigh?", conversation_id=first["conversation_id"])
    said = {"rating": "dislike", "reason": "outdated", "comment": "<b>ত্রিশ</b>\n{x}"}
    for _ in range(2):  # the same again is the same
        answer = await rate(caller, turn["message_id"], **said)
        assert answer.status_code == 200 and answer.json() == {**answer.json(), **said}
    stored = (await messages(caller, first["conversation_id"]))[-1]
    assert stored["feedback"] == {**stored["feedback"], **said}
    page: dict[str, Any] = {"rating": "dislike", "limit": 1}
    (item,) = (await quoting.http.get(f"{API}/feedback", params=page)).json()["items"]
    assert item == {
        **item,
        **said,
        "question": "How many tonnes does it weigh?",
        "history": [QUESTION],
        "answer": turn["answer"],
        "knowledge_base": "default",
        "message_id": turn["message_id"],
    }
    assert item["citations"] == turn["citations"] and "owner" not in item
    check_problem(await caller.get(f"{API}/feedback"), 403, "forbidden")

    assert (await rate(caller, first["message_id"], rating="like")).status_code == 200
    async with Client(quoting.url, quoting.http.headers["authorization"].split()[1]) as client:
        await fetch_feedback(client, tmp_path / "feedback.jsonl", "default")
    done = import_feedback(tmp_path / "feedback.jsonl", tmp_path / "suite")
    cases = {case.id: case for case in load_suite(done.suite).cases}
    liked = cases[first["message_id"]]
    assert (liked.question, liked.relevant[0].file) == (QUESTION, "moon.md")
    assert liked.relevant[0].quote == first["citations"][0]["quote"]
    assert turn["message_id"] not in cases
    undecided = [
        json.loads(line) for line in (tmp_path / "suite" / "undecided.jsonl").read_text().splitlines()
    ]
    (mine,) = [case for case in undecided if case["id"] == turn["message_id"]]
    assert mine["history"] == [QUESTION] and mine["said"]["comment"] == said["comment"]

    question = (await messages(caller, first["conversation_id"]))[0]["id"]
    check_problem(await rate(caller, question, rating="like"), 422, "invalid_input")
    missing = check_problem(await rate(stranger, str(uuid4()), rating="like"), 404, "message_not_found")
    foreign = check_problem(await rate(stranger, turn["message_id"], rating=None), 404, "message_not_found")
    assert {**missing, "request_id": ""} == {**foreign, "request_id": ""}
    assert (await rate(caller, turn["message_id"], rating=None)).json() is None
    assert (await messages(caller, first["conversation_id"]))[-1]["feedback"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rating": "love"},
        {"rating": 1},
        {"rating": "like", "reason": "wrong"},
        {"rating": "dislike", "reason": "because"},
        {"rating": None, "comment": "x"},
        {"rating": "like", "comment": "a\x00b"},
        {"rating": "like", "comment": "x" * 2001},
        {"rating": "like", "owner_id": "x"},
    ],
    ids=str,
)
async def test_feedback_of_another_form_is_refused(quoting: Server, body: dict[str, Any]) -> None:
    check_problem(await rate(quoting.http, str(uuid4()), **body), 422, "invalid_input")


async def test_feedback_is_paged_and_given_twenty_times_at_once_is_one(
    quoting: Server, guest: Guest, new_base: NewBase
) -> None:
    caller, slug = await guest(quoting), await new_base(quoting)
    turns = [await whole(caller, f"Question {n}?", knowledge_base=slug) for n in range(3)]
    for turn in turns:
        answers = await asyncio.gather(
            *(rate(caller, turn["message_id"], rating="like", comment=str(n)) for n in range(7))
        )
        assert {answer.status_code for answer in answers} == {200}
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "knowledge_base": slug}
    while True:
        page = (await quoting.http.get(f"{API}/feedback", params=query)).json()
        seen += [item["message_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [turn["message_id"] for turn in reversed(turns)]
    for wrong in ({"cursor": "' OR 1=1"}, {"since": "yesterday"}, {"rating": "love"}):
        check_problem(await quoting.http.get(f"{API}/feedback", params=wrong), 422, "invalid_input")


async def test_refused_questions_that_say_the_same_are_one_and_erased_people_leave_none(
    quoting: Server, guest: Guest, new_base: NewBase
) -> None:
    one, two, slug = await guest(quoting), await guest(quoting), await new_base(quoting)
    asked = await whole(one, "Who sells   Zebras?", knowledge_base=slug)
    assert asked["finish_reason"] == "refused"
    again = {"regenerate_message_id": asked["message_id"], "conversation_id": asked["conversation_id"]}
    assert (await one.post(f"{API}/chat", json=again)).status_code == 200
    await whole(two, "who SELLS zebras", knowledge_base=slug)
    await whole(one, "অফিস কখন খোলা থাকে?", knowledge_base=slug)
    path = f"{API}/knowledge-bases/{slug}/unanswered"
    first = (await quoting.http.get(path, params={"limit": 1})).json()
    second = (await quoting.http.get(path, params={"cursor": first["next_cursor"]})).json()
    assert first["items"][0]["question"] == "অফিস কখন খোলা থাকে?" and first["items"][0]["count"] == 1
    (zebras,) = second["items"]
    assert (zebras["count"], zebras["wordings"]) == (2, ["who SELLS zebras", "Who sells   Zebras?"])
    assert second["next_cursor"] is None
    past = {"until": "0001-01-02T00:00:00Z"}
    assert (await quoting.http.get(path, params=past)).json()["items"] == []
    check_problem(await one.get(path), 403, "forbidden")

    erased = (await two.delete(f"{API}/conversations")).json()
    assert erased == {"conversations": 1, "messages": 2, "feedback": 0}
    left = (await quoting.http.get(path)).json()["items"]
    assert [item["count"] for item in left] == [1, 1]


async def test_a_person_is_erased_in_one_call_and_the_others_are_left(quoting: Server, guest: Guest) -> None:
    caller, other = await guest(quoting), await guest(quoting)
    kept = await whole(other, QUESTION)
    turn = await whole(caller, QUESTION)
    await whole(caller, "And?", conversation_id=turn["conversation_id"])
    await whole(caller, QUESTION)
    await rate(caller, turn["message_id"], rating="like")
    async with quoting.services.database.transaction() as session:
        statement = text("SELECT owner FROM conversations WHERE id = :id")
        subject = (await session.execute(statement, {"id": turn["conversation_id"]})).scalar_one()
    path = f"{API}/people/{subject}"
    check_problem(await caller.delete(path), 403, "forbidden")
    assert (await quoting.http.delete(path)).json() == {"conversations": 2, "messages": 6, "feedback": 1}
    assert set((await quoting.http.delete(path)).json().values()) == {0}
    check_problem(
        await caller.get(f"{API}/conversations/{turn['conversation_id']}/messages"),
        404,
        "conversation_not_found",
    )
    assert len(await messages(other, kept["conversation_id"])) == 2
    for odd in ("user:a/b", "%25", "x%27%20OR%201=1"):
        assert set((await quoting.http.delete(f"{API}/people/{odd}")).json().values()) == {0}
    check_problem(await quoting.http.delete(f"{API}/people/a%00b"), 422, "invalid_input")


async def test_what_is_erased_while_it_is_answered_does_not_come_back(
    generating: Server, model_server: ModelServer, guest: Guest
) -> None:
    caller = await guest(generating)
    model_server.reply(Reply("The moon is made of basalt [1]. " * 20, token_delay=0.02))
    async with caller.stream("POST", f"{API}/chat", json={"message": QUESTION}) as answer:
        frames = live_frames(answer)
        async with asyncio.timeout(15):
            async for frame in frames:
                if frame.name == "delta":
                    break
            erased = (await caller.delete(f"{API}/conversations")).json()
            assert erased == {"conversations": 1, "messages": 2, "feedback": 0}
            names = [frame.name async for frame in frames]
    assert sum(name in ("done", "error") for name in names) == 1 and names[-1] in ("done", "error")
    assert (await caller.get(f"{API}/conversations")).json()["items"] == []
    async with generating.services.database.transaction() as session:
        orphans = "SELECT count(*) FROM messages WHERE conversation_id NOT IN (SELECT id FROM conversations)"
        assert (await session.execute(text(orphans))).scalar_one() == 0


async def test_conversations_are_erased_when_their_knowledge_base_kept_them_long_enough(
    quoting: Server, guest: Guest, new_base: NewBase
) -> None:
    caller, kept, short = await guest(quoting), await new_base(quoting), await new_base(quoting)
    await quoting.http.patch(f"{API}/knowledge-bases/{short}", json={"retention_days": 7})
    old, new, elsewhere = [
        (await whole(caller, QUESTION, knowledge_base=slug))["conversation_id"]
        for slug in (short, short, kept)
    ]
    async with quoting.services.database.transaction() as session:
        for conversation, days in ((old, 8), (new, 6), (elsewhere, 800)):
            statement = (
                "UPDATE conversations SET updated_at = now() - make_interval(days => :days) WHERE id = :id"
            )
            await session.execute(text(statement), {"days": days, "id": conversation})
    await erase_outdated(quoting.services.database)
    left = (await caller.get(f"{API}/conversations")).json()["items"]
    assert {item["id"] for item in left} == {new, elsewhere}
