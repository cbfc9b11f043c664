"""The tree of a conversation: asked anew, worded anew, branched; nothing is overwritten, and all of it is exported."""

import json
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from rag_service.admission.desk import EXPORTS_AT_ONCE
from rag_service.chat.branches import SIBLINGS
from rag_service.testing.model_server import ModelServer, Reply
from tests.api.conftest import Guest
from tests.api.support import check_problem, live_frames, messages, whole
from tests.conftest import Server

QUESTION = "What is the moon made of?"


async def again(http: httpx.AsyncClient, conversation: str, message: str) -> dict[str, Any]:
    body = {"regenerate_message_id": message, "conversation_id": conversation, "stream": False}
    answer = await http.post("/api/v1/chat", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def listed(http: httpx.AsyncClient, conversation: str, **query: Any) -> dict[str, Any]:
    answer = await http.get(f"/api/v1/conversations/{conversation}/messages", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ids(page: dict[str, Any]) -> list[str]:
    return [item["id"] for item in page["items"]]


async def branched(http: httpx.AsyncClient) -> tuple[str, list[dict[str, Any]]]:
    """Five turns; the third answered anew, and the fourth worded anew behind the first answer to the third."""
    turns = [await whole(http, QUESTION)]
    conversation = turns[0]["conversation_id"]
    for n in range(2, 6):
        turns.append(
            await whole(
                http, f"Question {n}: how many tonnes does the moon weigh?", conversation_id=conversation
            )
        )
    turns.append(await again(http, conversation, turns[2]["message_id"]))
    worded = {"conversation_id": conversation, "parent_message_id": turns[2]["message_id"]}
    turns.append(await whole(http, "Question 4, worded anew: what is it made of?", **worded))
    return conversation, turns


async def test_exports_fill_no_memory_however_many_are_asked_for_at_once(quoting: Server) -> None:
    turn = await whole(quoting.http, QUESTION)
    path = f"/api/v1/conversations/{turn['conversation_id']}/export"
    with ExitStack() as being_made:
        for _ in range(EXPORTS_AT_ONCE):
            being_made.enter_context(quoting.services.admission.exports.enter())
        check_problem(await quoting.http.get(path), 503, "overloaded")
    assert (await quoting.http.get(path)).status_code == 200


async def test_one_place_of_a_conversation_has_so_many_versions_and_no_more(
    quoting: Server, guest: Guest
) -> None:
    """Each names all others: of thousands an export would fill the memory."""
    caller = await guest(quoting)
    turn = await whole(caller, QUESTION)
    mine = {"conversation_id": turn["conversation_id"], "stream": False}
    path = f"/api/v1/conversations/{turn['conversation_id']}/messages"
    question, answer = (await caller.get(path)).json()["items"]
    copies = text(
        "INSERT INTO messages (id, conversation_id, parent_id, role, state, content, sources, citations, prompts, "
        "usage, timings) SELECT gen_random_uuid(), conversation_id, parent_id, role, state, content, sources, "
        "citations, prompts, usage, timings FROM messages, generate_series(1, :more) WHERE id = :id"
    )
    for message, asked in (
        (answer, {"regenerate_message_id": answer["id"]}),
        (question, {"message": QUESTION, "parent_message_id": None}),
    ):
        async with quoting.services.database.transaction() as session:
            await session.execute(copies, {"id": message["id"], "more": SIBLINGS - 2})
        assert (await caller.post("/api/v1/chat", json={**asked, **mine})).status_code == 200
        full = await caller.post("/api/v1/chat", json={**asked, **mine})
        check_problem(full, 409, "too_many_versions")


async def test_five_turns_branched_twice_are_all_kept_and_exported(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    conversation, turns = await branched(caller)
    tree = (await listed(caller, conversation, all=True))["items"]
    assert len(tree) == 13
    by_id = {item["id"]: item for item in tree}
    third, anew, reworded = (by_id[turns[n]["message_id"]] for n in (2, 5, 6))
    assert third["parent_id"] == anew["parent_id"]
    assert third["sibling_ids"] == anew["sibling_ids"] == [third["id"], anew["id"]]
    assert third["content"] == turns[2]["answer"] and third["state"] == "complete"  # as it was
    newest = (await listed(caller, conversation))["items"]
    assert [item["id"] for item in newest][-4:] == [
        third["parent_id"],
        third["id"],
        reworded["parent_id"],
        reworded["id"],
    ]
    assert by_id[reworded["parent_id"]]["sibling_ids"] == [
        by_id[turns[3]["message_id"]]["parent_id"],
        reworded["parent_id"],
    ]

    path = f"/api/v1/conversations/{conversation}/export"
    exported = await caller.get(path)
    assert (
        exported.headers["content-disposition"] == f'attachment; filename="conversation-{conversation}.json"'
    )
    whole_tree = json.loads(exported.text)
    assert whole_tree["messages"] == tree
    assert whole_tree["conversation"]["title"] == QUESTION

    answer = await caller.get(path, params={"format": "markdown"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.md"')
    text = answer.text
    assert text.startswith("# What is the moon made of?\n")
    assert text.count("## Question") == text.count("## Answer") == 4
    assert "worded anew" in text and "Question 5" not in text
    assert "basalt and anorthosite" in text.split("[^1]: ")[1].split("\n")[0]  # the footnote quotes
    old = await caller.get(path, params={"format": "markdown", "branch": turns[4]["message_id"]})
    assert old.text.count("## Question") == 5 and "Question 5" in old.text


async def test_a_branch_is_found_through_any_message_of_it_and_read_page_by_page(
    quoting: Server, guest: Guest
) -> None:
    caller = await guest(quoting)
    conversation, turns = await branched(caller)
    old = await listed(caller, conversation, branch=turns[3]["message_id"])
    assert [item["role"] for item in old["items"]] == ["user", "assistant"] * 5
    assert ids(old)[-1] == turns[4]["message_id"]  # goes on behind the message that was named
    assert (
        ids(await listed(caller, conversation, branch=turns[5]["message_id"]))[-1] == turns[5]["message_id"]
    )
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3, "branch": turns[4]["message_id"]}
    while True:
        page = await listed(caller, conversation, **query)
        seen = ids(page) + seen
        if page["next_cursor"] is None:
            break
        query = {"limit": 3, "cursor": page["next_cursor"]}
    assert seen == ids(old)
    everything: list[str] = []
    query = {"limit": 5, "all": True}
    while True:
        page = await listed(caller, conversation, **query)
        everything = ids(page) + everything
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert everything == ids(await listed(caller, conversation, all=True))
    for key in ("branch", "cursor"):
        foreign = await caller.get(
            f"/api/v1/conversations/{conversation}/messages", params={key: str(uuid4())}
        )
        check_problem(foreign, 404, "message_not_found")


async def test_a_first_question_is_worded_anew_with_null_for_a_parent(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    first = await whole(caller, QUESTION)
    conversation = first["conversation_id"]
    other = await whole(caller, "How heavy is it?", conversation_id=conversation, parent_message_id=None)
    roots = [
        item for item in (await listed(caller, conversation, all=True))["items"] if not item["parent_id"]
    ]
    assert [root["content"] for root in roots] == [QUESTION, "How heavy is it?"]
    assert roots[0]["sibling_ids"] == roots[1]["sibling_ids"] == [root["id"] for root in roots]
    assert ids(await listed(caller, conversation)) == [roots[1]["id"], other["message_id"]]


async def test_what_does_not_fit_into_the_tree_is_refused_and_nothing_is_stored(
    quoting: Server, guest: Guest
) -> None:
    caller, stranger = await guest(quoting), await guest(quoting)
    mine, theirs = await whole(caller, QUESTION), await whole(stranger, QUESTION)
    conversation = mine["conversation_id"]
    question = (await messages(caller, conversation))[0]["id"]
    for body in (
        {"message": "And?", "parent_message_id": question},
        {"message": "And?", "regenerate_message_id": mine["message_id"]},
        {"regenerate_message_id": mine["message_id"], "parent_message_id": mine["message_id"]},
        {"regenerate_message_id": theirs["message_id"]},
        {"regenerate_message_id": str(uuid4())},
        {"regenerate_message_id": mine["message_id"], "conversation_id": None},
        {"regenerate_message_id": None},
        {"parent_message_id": mine["message_id"]},
    ):
        answer = await caller.post("/api/v1/chat", json={"conversation_id": conversation, **body})
        check_problem(answer, 422, "invalid_input")
    body = {"conversation_id": theirs["conversation_id"], "regenerate_message_id": theirs["message_id"]}
    check_problem(await caller.post("/api/v1/chat", json=body), 404, "conversation_not_found")
    assert len((await listed(caller, conversation, all=True))["items"]) == 2


async def test_an_answer_on_its_way_is_neither_followed_nor_made_anew(
    generating: Server, model_server: ModelServer, guest: Guest
) -> None:
    caller = await guest(generating)
    before = await whole(caller, QUESTION)
    conversation = before["conversation_id"]
    model_server.reply(Reply("Basalt [1].", first_token_delay=30))
    asked = {"message": "And why?", "conversation_id": conversation}
    async with caller.stream("POST", "/api/v1/chat", json=asked) as answer:
        frames = live_frames(answer)
        start = (await anext(frames)).data
        question = (await messages(caller, conversation))[-2]["id"]
        for body in (
            {"message": "And?", "parent_message_id": start["message_id"]},
            {"regenerate_message_id": start["message_id"]},
            {"regenerate_message_id": question},
        ):
            refused = await caller.post("/api/v1/chat", json={"conversation_id": conversation, **body})
            check_problem(refused, 409, "answer_under_way")
        await caller.post(f"/api/v1/chat/{start['run_id']}/stop")
        assert [frame.name async for frame in frames][-1] == "done"


@pytest.mark.parametrize("hostile", ["{question.__class__} {0} %s", "`{{7*7}}` {sources}"])
async def test_what_was_said_before_is_never_a_template(
    generating: Server, model_server: ModelServer, hostile: str
) -> None:
    first = await whole(generating.http, f"{hostile} What is the moon made of?")
    model_server.script(Reply("What is the moon made of?"))
    await whole(generating.http, "And?", conversation_id=first["conversation_id"])
    sent = model_server.requests[-1].json["messages"]
    assert sent[1]["content"].startswith(hostile)
