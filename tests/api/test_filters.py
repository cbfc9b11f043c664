"""Filters: a question about some of the documents finds all it can there, and nothing elsewhere."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import NewBase
from tests.api.support import check_problem, stream, whole
from tests.conftest import Server

API = "/api/v1"


async def upload(server: Server, slug: str, name: str, text: str, **form: Any) -> str:
    if "metadata" in form:
        form["metadata"] = json.dumps(form["metadata"])
    files = {"files": (name, text.encode())}
    answer = await server.http.post(f"{API}/knowledge-bases/{slug}/documents", files=files, data=form)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["documents"][0]["id"])


async def search(server: Server, slug: str, filters: Any, **more: Any) -> list[dict[str, Any]]:
    body = {"query": "What are comets made of?", "knowledge_base": slug, "filters": filters, **more}
    answer = await server.http.post(f"{API}/search", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hits"]
    return found


async def library(server: Server, slug: str) -> dict[str, str]:
    """Three documents that differ in tags and metadata, by name."""
    ids = {
        "old": await upload(
            server,
            slug,
            "old",
            "Comets are made of ice.",
            tags=["staff"],
            metadata={"year": 2020, "ok": True},
        ),
        "new": await upload(
            server, slug, "new", "Comets are made of dust.", tags=["staff", "press"], metadata={"year": 2024}
        ),
        "bare": await upload(server, slug, "bare", "Comets are made of rock."),
    }
    while await server.worker.run_one():
        pass
    return ids


async def test_each_part_must_hold_and_any_of_its_values(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    ids = await library(quoting, slug)
    cases: list[tuple[Any, set[str]]] = [
        (None, {"old", "new", "bare"}),
        ({}, {"old", "new", "bare"}),
        ({"tags": ["staff"]}, {"old", "new"}),
        ({"tags": ["press", "other"]}, {"new"}),
        ({"tags": ["nothing"]}, set()),
        ({"document_ids": [ids["old"], ids["bare"]]}, {"old", "bare"}),
        ({"document_ids": [str(uuid4())]}, set()),
        ({"metadata": {"year": 2024}}, {"new"}),
        ({"metadata": {"year": 2024.0}}, {"new"}),
        ({"metadata": {"year": [2020, 2024]}}, {"old", "new"}),
        ({"metadata": {"year": "2024"}}, set()),
        ({"metadata": {"ok": True}}, {"old"}),
        ({"metadata": {"ok": 1}}, set()),
        ({"metadata": {"year": 2020, "ok": True}}, {"old"}),
        ({"metadata": {"year": 2024, "ok": True}}, set()),
        ({"tags": ["staff"], "metadata": {"year": [2020, 2024]}, "document_ids": [ids["new"]]}, {"new"}),
        ({"metadata": {"year": "' OR 1=1 --"}}, set()),
    ]
    for filters, names in cases:
        assert {hit["filename"] for hit in await search(quoting, slug, filters)} == names, filters


async def test_a_document_of_another_knowledge_base_is_not_reached_by_its_id(
    quoting: Server, new_base: NewBase
) -> None:
    slug, other = await new_base(quoting), await new_base(quoting)
    ids = await library(quoting, slug)
    assert await search(quoting, other, {"document_ids": list(ids.values())}) == []
    turn = await whole(
        quoting.http, "Comets?", knowledge_base=other, filters={"document_ids": list(ids.values())}
    )
    assert turn["sources"] == []


async def test_a_narrow_filter_still_finds_as_many_as_asked_for(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    near = "\n\n".join(
        f"# Part {number}\n\nComets are made of ice, in part {number} too." for number in range(60)
    )
    far = "\n\n".join(
        f"# Section {number}\n\nSomething about gardens, number {number}." for number in range(6)
    )
    await upload(quoting, slug, "near.md", near)
    await upload(quoting, slug, "far.md", far, tags=["far"])
    while await quoting.worker.run_one():
        pass
    for limit in (1, 2, 4):  # beyond what the index is asked for at first, and at most
        unfiltered = await search(quoting, slug, None, limit=limit)
        assert {hit["filename"] for hit in unfiltered} == {"near.md"}
        hits = await search(quoting, slug, {"tags": ["far"]}, limit=limit)
        assert [hit["filename"] for hit in hits] == ["far.md"] * limit
        assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert len(await search(quoting, slug, {"tags": ["far"]}, limit=10)) == 6


async def test_a_chat_answers_from_what_passes_streamed_and_whole(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    await library(quoting, slug)
    asked: dict[str, Any] = {"knowledge_base": slug, "filters": {"tags": ["press"]}}
    turn = await whole(quoting.http, "What are comets made of?", **asked)
    assert {source["filename"] for source in turn["sources"]} == {"new"}
    assert "dust" in turn["answer"] and "ice" not in turn["answer"]
    streamed = await stream(quoting.http, "What are comets made of?", **asked)
    assert {source["filename"] for source in streamed.sources} == {"new"}
    asked = {"conversation_id": turn["conversation_id"], "filters": {"metadata": {"year": 2020}}}
    turn = await whole(quoting.http, "What are comets made of?", **asked)
    assert {source["filename"] for source in turn["sources"]} == {"old"}
    asked = {"conversation_id": turn["conversation_id"], "filters": {"tags": ["none"]}}
    assert (await whole(quoting.http, "And comets?", **asked))["finish_reason"] == "refused"


async def test_changed_tags_count_from_the_next_question_on(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    ids = await library(quoting, slug)
    await quoting.http.patch(f"{API}/documents/{ids['bare']}", json={"tags": ["late"]})
    (hit,) = await search(quoting, slug, {"tags": ["late"]})
    assert hit["filename"] == "bare"


BAD: list[Any] = [
    {"$or": [{"tags": ["a"]}]},
    {"tenant": {"$ne": ""}},
    {"owner_id": "x"},
    {"knowledge_base": "default"},
    {"tags": {"$ne": ""}},
    {"tags": "staff"},
    {"tags": []},
    {"tags": [None]},
    {"tags": ["a\x00b"]},
    {"tags": ["x"] * 33},
    {"document_ids": []},
    {"document_ids": ["' OR 1=1"]},
    {"document_ids": ["7d0f9f3e-0000-4000-8000-000000000001"] * 201},
    {"metadata": {"$or": []}},
    {"metadata": {"a": {"$ne": ""}}},
    {"metadata": {"a": []}},
    {"metadata": {"a": [[1]]}},
    {"metadata": {"a": None}},
    {"metadata": {"a'; --": 1}},
    {"metadata": {"a.$gt": 1}},
    {"metadata": {"a": [1] * 51}},
    {"metadata": {f"k{number}": 1 for number in range(17)}},
    {"metadata": [1]},
    [],
    "tags",
]


@pytest.mark.parametrize("filters", BAD, ids=lambda value: str(value)[:40])
async def test_what_is_no_filter_is_refused(quoting: Server, filters: Any) -> None:
    answer = await quoting.http.post(f"{API}/search", json={"query": "moon", "filters": filters})
    problem = check_problem(answer, 422, "invalid_input")
    assert all(error["field"].startswith("filters") for error in problem["errors"])
    for whether in (True, False):
        body = {"message": "moon", "filters": filters, "stream": whether}
        check_problem(await quoting.http.post(f"{API}/chat", json=body), 422, "invalid_input")
