"""Conversations: remembered for their owner, and not there for anyone else."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import Guest, NewBase
from tests.api.support import check_problem, messages, stream, whole
from tests.conftest import Server

QUESTION = "What is the moon made of?"


async def conversations(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/api/v1/conversations", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_follow_up_is_remembered_with_what_came_before(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    first = await whole(caller, QUESTION)
    second = await stream(caller, "How heavy is it?", conversation_id=first["conversation_id"])
    assert second.start["conversation_id"] == first["conversation_id"]
    kept = await messages(caller, first["conversation_id"])
    assert [(item["role"], item["content"]) for item in kept] == [
        ("user", QUESTION),
        ("assistant", first["answer"]),
        ("user", "How heavy is it?"),
        ("assistant", second.text),
    ]
    assert [item["parent_id"] for item in kept] == [None, *(item["id"] for item in kept[:-1])]


async def test_a_follow_up_without_a_model_still_finds_what_it_is_about(quoting: Server) -> None:
    first = await whole(quoting.http, "How many tonnes does the moon weigh?")
    second = await whole(quoting.http, "And in detail?", conversation_id=first["conversation_id"])
    assert "quintillion" in second["answer"]


async def test_the_newest_messages_are_read_oldest_first(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    first = await whole(caller, QUESTION)
    await whole(caller, "How heavy is it?", conversation_id=first["conversation_id"])
    path = f"/api/v1/conversations/{first['conversation_id']}/messages"
    newest = (await caller.get(path, params={"limit": 2})).json()["items"]
    assert [item["role"] for item in newest] == ["user", "assistant"]
    assert newest[0]["content"] == "How heavy is it?"


async def test_conversations_are_listed_page_by_page_the_last_used_first(
    quoting: Server, guest: Guest
) -> None:
    caller = await guest(quoting)
    begun = [(await whole(caller, f"Moon {n}?"))["conversation_id"] for n in range(5)]
    await whole(caller, "More?", conversation_id=begun[0])
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await conversations(caller, **query)
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        query["cursor"] = page["next_cursor"]
    assert seen == [begun[0], *reversed(begun[1:])]


async def test_a_conversation_says_what_it_is_about(quoting: Server, guest: Guest, new_base: NewBase) -> None:
    caller = await guest(quoting)
    slug = await new_base(quoting)
    await whole(caller, f"  Moon?\n\n{'long ' * 50}", knowledge_base=slug)
    (item,) = (await conversations(caller))["items"]
    assert set(item) == {*("id", "title", "knowledge_base", "pinned", "archived", "created_at", "updated_at")}
    assert item["knowledge_base"] == slug
    assert item["title"].startswith("Moon? long") and len(item["title"]) <= 80 and item["title"].endswith("…")


async def test_a_deleted_conversation_is_gone(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    kept, deleted = [(await whole(caller, QUESTION))["conversation_id"] for _ in range(2)]
    path = f"/api/v1/conversations/{deleted}"
    assert (await caller.delete(path)).status_code == 204
    check_problem(await caller.get(f"{path}/messages"), 404, "conversation_not_found")
    check_problem(await caller.delete(path), 404, "conversation_not_found")
    assert [item["id"] for item in (await conversations(caller))["items"]] == [kept]


async def test_a_conversation_of_another_key_is_like_one_that_does_not_exist(
    quoting: Server, guest: Guest
) -> None:
    owner, stranger = await guest(quoting), await guest(quoting)
    theirs = (await whole(owner, QUESTION))["conversation_id"]

    async def tried(http: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
        body = {"message": "And?", "conversation_id": conversation}
        answers = [
            await http.get(f"/api/v1/conversations/{conversation}/messages"),
            await http.delete(f"/api/v1/conversations/{conversation}"),
            await http.post("/api/v1/chat", json=body),
            await http.post("/api/v1/chat", json={**body, "stream": False}),
            await http.get("/api/v1/conversations", params={"cursor": conversation}),
            await http.get(f"/api/v1/conversations/{conversation}"),
            await http.get(f"/api/v1/conversations/{conversation}/messages", params={"all": True}),
            await http.get(f"/api/v1/conversations/{conversation}/export"),
            await http.get(f"/api/v1/conversations/{conversation}/export", params={"format": "markdown"}),
            await http.patch(f"/api/v1/conversations/{conversation}", json={"title": "mine"}),
        ]
        problems = [check_problem(answer, 404, "conversation_not_found") for answer in answers]
        return [{**problem, "request_id": None} for problem in problems]

    missing = await tried(stranger, str(uuid4()))
    assert await tried(stranger, theirs) == missing
    assert await tried(quoting.http, theirs) == missing  # nor does it exist for an admin
    assert (await conversations(stranger))["items"] == []
    assert len(await messages(owner, theirs)) == 2


async def test_a_turn_follows_only_a_message_of_its_own_conversation(quoting: Server, guest: Guest) -> None:
    owner, stranger = await guest(quoting), await guest(quoting)
    mine, other = await whole(owner, QUESTION), await whole(owner, QUESTION)
    theirs = await whole(stranger, QUESTION)
    for parent in (other["message_id"], theirs["message_id"], str(uuid4())):
        body = {
            "message": "And?",
            "conversation_id": mine["conversation_id"],
            "parent_message_id": parent,
        }
        check_problem(await owner.post("/api/v1/chat", json=body), 422, "invalid_input")
    assert len(await messages(owner, mine["conversation_id"])) == 2


async def test_a_new_conversation_has_no_message_to_follow(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    first = await whole(caller, QUESTION)
    body = {"message": "And?", "parent_message_id": first["message_id"]}
    check_problem(await caller.post("/api/v1/chat", json=body), 422, "invalid_input")
    assert len((await conversations(caller))["items"]) == 1


@pytest.mark.parametrize("same", [True, False])
async def test_a_conversation_stays_with_its_knowledge_base(
    quoting: Server, guest: Guest, new_base: NewBase, same: bool
) -> None:
    caller = await guest(quoting)
    first = await whole(caller, QUESTION)
    slug = "default" if same else await new_base(quoting)
    body = {"message": "And?", "conversation_id": first["conversation_id"], "knowledge_base": slug}
    answer = await caller.post("/api/v1/chat", json=body)
    if same:
        assert answer.status_code == 200
    else:
        check_problem(answer, 422, "invalid_input")


async def test_two_questions_at_once_in_one_conversation_are_both_answered(
    quoting: Server, guest: Guest
) -> None:
    caller = await guest(quoting)
    first = await whole(caller, QUESTION)
    conversation = first["conversation_id"]
    one, two = await asyncio.gather(
        stream(caller, "How heavy is it?", conversation_id=conversation),
        stream(caller, "How long is its orbit?", conversation_id=conversation),
    )
    path = f"/api/v1/conversations/{conversation}/messages"
    kept = {item["id"]: item for item in (await caller.get(path, params={"all": True})).json()["items"]}
    assert len(kept) == 6
    for turn in (one, two):
        assert kept[turn.start["message_id"]]["content"] == turn.text
        assert kept[turn.start["message_id"]]["state"] == "complete"


async def test_conversations_are_found_by_what_was_said_in_any_script(quoting: Server, guest: Guest) -> None:
    caller, stranger = await guest(quoting), await guest(quoting)
    asked = [
        "চাঁদ কী দিয়ে তৈরি?",  # with য় in two characters
        "100% of the moon?",
        "100 of_the moon?",
        "A back\\slash?",
        "Größe?",
    ]
    begun = {text: (await whole(caller, text))["conversation_id"] for text in asked}
    await whole(stranger, "চাঁদ কী?")

    async def found(words: str) -> list[str]:
        items = (await conversations(caller, q=words))["items"]
        return [text for text, id in begun.items() if id in {item["id"] for item in items}]

    assert await found("চাঁদ") == [asked[0]]
    assert await found("দি\u09dfে") == [asked[0]]  # য় in one
    assert await found("0%") == [asked[1]]
    assert await found("of_the") == [asked[2]]
    assert await found("k\\s") == [asked[3]]
    assert await found("GRÖSSE".replace("SS", "ß")) == [asked[4]]
    assert await found("nothing like it") == []
    answered = await whole(caller, QUESTION)
    ids = [item["id"] for item in (await conversations(caller, q="ANORTHOSITE"))["items"]]
    assert answered["conversation_id"] in ids  # said in its answer
    page = await conversations(caller, q="moon", limit=1)
    rest = await conversations(caller, q="moon", cursor=page["next_cursor"])
    assert len(rest["items"]) >= 2 and page["items"][0] not in rest["items"]
    for wrong in ("", "  ", "x" * 201, "a\x00b"):
        check_problem(await caller.get("/api/v1/conversations", params={"q": wrong}), 422, "invalid_input")


async def test_a_conversation_is_renamed_pinned_and_put_away(quoting: Server, guest: Guest) -> None:
    caller = await guest(quoting)
    one, two, three = [(await whole(caller, f"Moon {n}?"))["conversation_id"] for n in range(3)]

    async def change(conversation: str, **body: Any) -> dict[str, Any]:
        answer = await caller.patch(f"/api/v1/conversations/{conversation}", json=body)
        assert answer.status_code == 200, answer.text
        read = (await caller.get(f"/api/v1/conversations/{conversation}")).json()
        assert read == answer.json()
        return dict(read)

    before = (await caller.get(f"/api/v1/conversations/{one}")).json()
    renamed = await change(one, title=" Owls\r\n# and larks ")
    assert renamed == {**before, "title": "Owls # and larks"}  # nor is it used by that
    await change(one, pinned=True)
    await change(two, archived=True)
    pages = [await conversations(caller, limit=1)]
    pages.append(await conversations(caller, limit=1, cursor=pages[0]["next_cursor"]))
    pages.append(await conversations(caller, limit=1, cursor=pages[1]["next_cursor"]))
    assert [[item["id"] for item in page["items"]] for page in pages] == [[one], [three], []]
    assert [item["id"] for item in (await conversations(caller, archived=True))["items"]] == [two]
    assert (await change(one, pinned=False, title="x"))["pinned"] is False
    assert (await change(two, archived=False))["archived"] is False
    listed = (await conversations(caller))["items"]
    assert [item["id"] for item in listed] == [three, two, one]
    for wrong in ({}, {"title": " \n "}, {"title": None}, {"title": "a\x00"}, {"pinned": 2}, {"owner": "x"}):
        answer = await caller.patch(f"/api/v1/conversations/{one}", json=wrong)
        check_problem(answer, 422, "invalid_input")
