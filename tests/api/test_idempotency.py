"""The same request sent again under one Idempotency-Key is done once."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, text

from rag_service.db.models import IdempotencyKey
from rag_service.db.repositories.idempotency import forget_old
from tests.api.conftest import NewBase
from tests.api.support import check_problem
from tests.api.test_uploads import PATH, blobs, documents
from tests.conftest import Server

BASES = "/api/v1/knowledge-bases"


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def send(server: Server, slug: str, headers: dict[str, str], text: str = "Comets.", **more: Any) -> Any:
    files = {"files": ("a.txt", text.encode())}
    return await server.http.post(PATH.format(slug), files=files, headers=headers, **more)


async def test_twenty_at_once_make_one_document_and_all_get_its_answer(
    quoting: Server, new_base: NewBase
) -> None:
    slug, headers, before = await new_base(quoting), key(), blobs(quoting)
    answers = await asyncio.gather(*(send(quoting, slug, headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    first = answers[0].json()
    assert all(answer.json() == first for answer in answers)
    assert [item["status"] for item in first["documents"]] == ["added"]
    (document,) = await documents(quoting, slug)
    assert document["id"] == first["documents"][0]["id"]
    assert len(blobs(quoting) - before) == 1
    listed = (await quoting.http.get(f"/api/v1/jobs?knowledge_base={slug}")).json()["items"]
    assert [job["id"] for job in listed] == [first["jobs"][0]["id"]]


async def test_without_a_key_twenty_at_once_are_one_document_of_one_version(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    answers = await asyncio.gather(*(send(quoting, slug, {}) for _ in range(20)))
    statuses = sorted(answer.json()["documents"][0]["status"] for answer in answers)
    assert statuses == ["added", *["unchanged"] * 19]
    (document,) = await documents(quoting, slug)
    assert document["version"] == 1


async def test_another_body_under_the_same_key_is_refused(quoting: Server, new_base: NewBase) -> None:
    slug, headers = await new_base(quoting), key()
    assert (await send(quoting, slug, headers)).status_code == 202
    before = blobs(quoting)
    others: list[httpx.Response] = [
        await send(quoting, slug, headers, "Other comets."),
        await send(quoting, slug, headers, data={"tags": "new"}),
        await send(quoting, slug, headers, params={"on_conflict": "skip"}),
        await send(quoting, await new_base(quoting), headers),
        await quoting.http.post(BASES, json={"slug": "never-made", "name": "x"}, headers=headers),
    ]
    for answer in others:
        check_problem(answer, 422, "idempotency_key_reused")
    assert blobs(quoting) == before
    (document,) = await documents(quoting, slug)
    assert document["version"] == 1


async def test_the_first_answer_is_replayed_whatever_happened_since(
    quoting: Server, new_base: NewBase
) -> None:
    slug, headers = await new_base(quoting), key()
    first = (await send(quoting, slug, headers)).json()
    await quoting.upload(("a.txt", "Newer comets."), slug=slug)
    assert (await send(quoting, slug, headers)).json() == first
    (document,) = await documents(quoting, slug)
    assert document["version"] == 2


async def test_a_request_that_failed_leaves_its_key_free(quoting: Server, new_base: NewBase) -> None:
    slug, headers = await new_base(quoting), key()
    await send(quoting, slug, {})
    refused = await send(quoting, slug, headers, "Other.", params={"on_conflict": "reject"})
    check_problem(refused, 409, "document_exists")
    await quoting.http.delete(f"/api/v1/documents/{(await documents(quoting, slug))[0]['id']}")
    again = await send(quoting, slug, headers, "Other.", params={"on_conflict": "reject"})
    assert again.json()["documents"][0]["status"] == "added"


async def test_a_knowledge_base_is_made_once(quoting: Server) -> None:
    headers, body = key(), {"slug": f"once-{uuid4().hex[:8]}", "name": "Once"}
    answers = await asyncio.gather(*(quoting.http.post(BASES, json=body, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    other = await quoting.http.post(BASES, json={**body, "name": "Other"}, headers=headers)
    check_problem(other, 422, "idempotency_key_reused")
    check_problem(await quoting.http.post(BASES, json=body, headers=key()), 409, "knowledge_base_exists")


async def test_an_embed_is_made_once(quoting: Server) -> None:
    headers, body = key(), {"name": "Site", "origins": ["https://once.example"]}
    answers = await asyncio.gather(
        *(quoting.http.post("/api/v1/embeds", json=body, headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    body["origins"] = ["https://other.example"]
    other = await quoting.http.post("/api/v1/embeds", json=body, headers=headers)
    check_problem(other, 422, "idempotency_key_reused")


async def test_keys_of_two_callers_have_nothing_to_do_with_each_other(quoting: Server) -> None:
    headers = key()
    _, other = await quoting.services.keys.create("another admin", "admin")
    mine = {"slug": f"mine-{uuid4().hex[:8]}", "name": "Mine"}
    theirs = {"slug": f"theirs-{uuid4().hex[:8]}", "name": "Theirs"}
    assert (await quoting.http.post(BASES, json=mine, headers=headers)).status_code == 201
    headers["Authorization"] = f"Bearer {other}"
    assert (await quoting.http.post(BASES, json=theirs, headers=headers)).status_code == 201


@pytest.mark.parametrize("value", ["", "x" * 256, "two words", "a\tb"])
async def test_a_key_that_is_none_is_refused(quoting: Server, value: str) -> None:
    body = {"slug": "never-made", "name": "x"}
    answer = await quoting.http.post(BASES, json=body, headers={"Idempotency-Key": value})
    check_problem(answer, 422, "invalid_input")


async def test_a_key_counts_for_a_day_and_is_then_as_good_as_new(quoting: Server, new_base: NewBase) -> None:
    slug, headers = await new_base(quoting), key()
    age = text(
        "UPDATE idempotency_keys SET created_at = now() - make_interval(hours => :hours) WHERE key = :key"
    )
    assert (await send(quoting, slug, headers, "First.")).status_code == 202
    for hours, status in ((23, 422), (25, 202)):
        async with quoting.services.database.transaction() as session:
            await session.execute(age, {"hours": hours, "key": headers["Idempotency-Key"]})
        assert (await send(quoting, slug, headers, "Second.")).status_code == status
    async with quoting.services.database.transaction() as session:
        await session.execute(age, {"hours": 25, "key": headers["Idempotency-Key"]})
        await forget_old(session)
        left = select(IdempotencyKey).where(IdempotencyKey.key == headers["Idempotency-Key"])
        assert await session.scalar(left) is None
