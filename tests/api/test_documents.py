"""Knowledge bases, their documents and chunks, jobs and search: what an admin sees."""

from typing import Any
from uuid import uuid4

from tests.api.conftest import Guest, NewBase
from tests.api.support import check_problem, frames_of, whole
from tests.conftest import Server

API = "/api/v1"


async def get(server: Server, path: str, **query: Any) -> dict[str, Any]:
    answer = await server.http.get(API + path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def pages(server: Server, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items of a list, read page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(server, path, **query, **cursor)
        items += page["items"]
        assert len(page["items"]) <= query["limit"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def test_a_knowledge_base_is_created_listed_and_not_made_twice(quoting: Server) -> None:
    slug = f"made-{uuid4().hex[:8]}"
    body = {"slug": slug, "name": "  Made here  "}
    answer = await quoting.http.post(f"{API}/knowledge-bases", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["slug"], made["name"], made["documents"]) == (slug, "Made here", 0)
    again = await quoting.http.post(f"{API}/knowledge-bases", json=body)
    check_problem(again, 409, "knowledge_base_exists")
    await quoting.upload(("a.txt", "Comets are ice."), slug=slug)
    listed = {item["slug"]: item for item in (await get(quoting, "/knowledge-bases"))["items"]}
    assert listed[slug]["documents"] == 1
    assert listed["default"]["documents"] >= 1


async def test_a_name_that_cannot_be_one_is_refused(quoting: Server) -> None:
    for slug in ("", "a b", "A", "-a", "a-", "a\n", "../x", "x" * 64, "é", None, 5):
        answer = await quoting.http.post(f"{API}/knowledge-bases", json={"slug": slug, "name": "x"})
        check_problem(answer, 422, "invalid_input")
    for name in ("", "  ", "a\x00b", "x" * 201, None):
        answer = await quoting.http.post(f"{API}/knowledge-bases", json={"slug": "fine", "name": name})
        check_problem(answer, 422, "invalid_input")


async def test_a_new_knowledge_base_knows_nothing_of_another(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("secret.txt", "Comets are ice."), slug=slug)
    moon = {"query": "What is the moon made of?", "knowledge_base": slug}
    hits = (await quoting.http.post(f"{API}/search", json=moon)).json()["hits"]
    assert {hit["filename"] for hit in hits} <= {"secret.txt"}
    comets = {"query": "Comets are ice."}
    hits = (await quoting.http.post(f"{API}/search", json=comets)).json()["hits"]
    assert "secret.txt" not in {hit["filename"] for hit in hits}
    sources = (await whole(quoting.http, "Comets are ice."))["sources"]
    assert "secret.txt" not in {source["filename"] for source in sources}


async def test_a_search_gives_scored_hits_in_the_documented_shape(quoting: Server) -> None:
    body = {"query": "How many days does the moon take?", "knowledge_base": "default", "limit": 2}
    answer = await quoting.http.post(f"{API}/search", json=body)
    assert answer.status_code == 200
    hits = answer.json()["hits"]
    assert len(hits) == 2
    assert set(hits[0]) >= {
        *("chunk_id", "document_id", "filename", "title", "page", "text", "score"),
    }
    assert "27 days" in hits[0]["text"]
    assert hits[0]["score"] >= hits[1]["score"]


async def test_a_document_is_read_with_its_newest_version_and_job(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    uploaded = await quoting.upload(("a.md", "# Comets\n\nComets are ice."), slug=slug)
    id = uploaded["documents"][0]["id"]
    document = await get(quoting, f"/documents/{id}")
    assert document["id"] == id
    assert (document["filename"], document["title"]) == ("a.md", "Comets")
    assert (document["state"], document["version"], document["chunks"]) == ("ready", 1, 1)
    assert document["size"] == len("# Comets\n\nComets are ice.")
    assert document["media_type"] == "text/markdown"
    assert document["job"]["state"] == "succeeded"
    (listed,) = (await get(quoting, f"/knowledge-bases/{slug}/documents"))["items"]
    assert listed == document


async def test_documents_are_listed_page_by_page(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    await quoting.upload(*((f"{n}.txt", f"Comet number {n}.") for n in range(5)), slug=slug)
    listed = await pages(quoting, f"/knowledge-bases/{slug}/documents", limit=2)
    assert [item["filename"] for item in listed] == [f"{n}.txt" for n in range(5)]


async def test_chunks_are_listed_in_order_of_the_text(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    text = "\n\n".join(f"## Part {n}\n\nComet number {n}." for n in range(7))
    uploaded = await quoting.upload(("a.md", text), slug=slug)
    chunks = await pages(quoting, f"/documents/{uploaded['documents'][0]['id']}/chunks", limit=3)
    assert [chunk["ordinal"] for chunk in chunks] == list(range(len(chunks)))
    assert len(chunks) == 7
    for number, chunk in enumerate(chunks):
        assert chunk["headings"] == [f"Part {number}"]
        assert text[chunk["char_start"] : chunk["char_end"]] == chunk["text"]


async def test_jobs_are_listed_newest_first_by_state_and_knowledge_base(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    good = (await quoting.upload(("a.txt", "Comets."), ("b.txt", "Stars."), slug=slug))["jobs"]
    bad = (await quoting.upload(("c.txt", ""), slug=slug))["jobs"]
    listed = await pages(quoting, "/jobs", knowledge_base=slug, limit=2)
    assert [job["id"] for job in listed] == [bad[0]["id"], good[1]["id"], good[0]["id"]]
    failed = await pages(quoting, "/jobs", knowledge_base=slug, state="failed", limit=2)
    assert [job["id"] for job in failed] == [bad[0]["id"]]
    assert await get(quoting, f"/jobs/{bad[0]['id']}") == failed[0]


async def test_what_does_not_exist_is_not_found(quoting: Server) -> None:
    id = uuid4()
    for path, code in (
        (f"/documents/{id}", "document_not_found"),
        (f"/documents/{id}/chunks", "document_not_found"),
        (f"/jobs/{id}", "job_not_found"),
        (f"/jobs/{id}/events", "job_not_found"),
    ):
        check_problem(await quoting.http.get(API + path), 404, code)


async def test_a_job_is_followed_to_its_end(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    files = {"files": ("a.txt", b"Comets are ice.")}
    answer = await quoting.http.post(f"{API}/knowledge-bases/{slug}/documents", files=files)
    (job,) = answer.json()["jobs"]
    path = f"{API}/jobs/{job['id']}/events"
    async with quoting.http.stream("GET", path) as events:
        assert events.headers["content-type"].split(";")[0] == "text/event-stream"
        assert events.headers["cache-control"] == "no-store"
        assert events.headers["x-accel-buffering"] == "no"
        received = events.aiter_text()
        body = await anext(received)
        while await quoting.worker.run_one():
            pass
        body += "".join([text async for text in received])
    frames = frames_of(body)
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.name for frame in frames[:-1]] == ["progress"] * (len(frames) - 1)
    assert frames[0].data == job
    assert frames[-1].name == "done"
    assert frames[-1].data["state"] == "succeeded"
    assert frames[-1].data["progress"] == {"done": 1, "total": 1}


async def test_a_job_that_has_ended_is_told_at_once(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    (job,) = (await quoting.upload(("a.txt", ""), slug=slug))["jobs"]
    (frame,) = frames_of((await quoting.http.get(f"{API}/jobs/{job['id']}/events")).text)
    assert (frame.name, frame.data["state"]) == ("done", "failed")
    assert "a.txt" in frame.data["error"]["detail"]


async def test_a_chat_key_sees_the_knowledge_bases_it_may_ask(quoting: Server, guest: Guest) -> None:
    answer = await (await guest(quoting)).get(f"{API}/knowledge-bases")
    assert "default" in {item["slug"] for item in answer.json()["items"]}
