"""Versions of a document: their history, going back to one, reading it anew, and the original files."""

import asyncio
import hashlib
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.api.conftest import NewBase
from tests.api.support import check_problem, whole
from tests.api.test_uploads import PATH, blobs
from tests.conftest import Server

API = "/api/v1/documents"


async def versions(server: Server, id: str, **query: Any) -> list[dict[str, Any]]:
    answer = await server.http.get(f"{API}/{id}/versions", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def work(server: Server) -> None:
    while await server.worker.run_one():
        pass


async def two_versions(server: Server, slug: str) -> str:
    first = await server.upload(("a.txt", "Comets weigh twelve grams."), slug=slug)
    await server.upload(("a.txt", "Comets weigh ninety tonnes."), slug=slug)
    return str(first["documents"][0]["id"])


async def said(server: Server, slug: str) -> str:
    return str((await whole(server.http, "How much do comets weigh?", knowledge_base=slug))["answer"])


async def test_history_tells_each_version_the_newest_first(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    id = await two_versions(quoting, slug)
    await quoting.upload(("a.txt", ""), slug=slug)
    failed, second, first = await versions(quoting, id)
    assert [item["number"] for item in (failed, second, first)] == [3, 2, 1]
    assert [item["state"] for item in (failed, second, first)] == ["failed", "ready", "ready"]
    assert [item["active"] for item in (failed, second, first)] == [False, True, False]
    assert first["size"] == len("Comets weigh twelve grams.")
    assert first["sha256"] == hashlib.sha256(b"Comets weigh twelve grams.").hexdigest()
    assert (first["media_type"], first["chunks"], first["restored_from"]) == ("text/plain", 1, None)
    assert first["created_at"] < first["activated_at"] < second["created_at"]
    assert failed["activated_at"] is None
    page = (await quoting.http.get(f"{API}/{id}/versions", params={"limit": 2})).json()
    assert page["items"] == [failed, second]
    assert await versions(quoting, id, limit=2, cursor=page["next_cursor"]) == [first]


async def test_going_back_is_a_new_version_of_the_old_bytes(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    id = await two_versions(quoting, slug)
    before = blobs(quoting)
    answer = await quoting.http.post(f"{API}/{id}/versions/1/restore")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["document_id"], job["state"], job["filename"]) == (id, "queued", "a.txt")
    assert "ninety" in await said(quoting, slug)
    await work(quoting)
    assert "twelve" in await said(quoting, slug)
    third, second, first = await versions(quoting, id)
    assert (third["number"], third["restored_from"], third["active"]) == (3, 1, True)
    assert (third["sha256"], second["active"], first["active"]) == (first["sha256"], False, False)
    assert blobs(quoting) == before
    same = await quoting.upload(("a.txt", "Comets weigh twelve grams."), slug=slug)
    assert same["documents"][0]["status"] == "unchanged"
    forth = await quoting.http.post(f"{API}/{id}/versions/2/restore")
    assert forth.status_code == 202
    await work(quoting)
    assert "ninety" in await said(quoting, slug)


async def test_asked_for_many_times_at_once_it_is_done_once(quoting: Server, new_base: NewBase) -> None:
    id = await two_versions(quoting, await new_base(quoting))
    restore = f"{API}/{id}/versions/1/restore"
    answers = await asyncio.gather(*(quoting.http.post(restore) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await versions(quoting, id)) == 3
    await work(quoting)


async def test_reading_anew_takes_the_settings_of_now(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    uploaded = await quoting.upload(("a.txt", "Comets are ice."), slug=slug)
    id = uploaded["documents"][0]["id"]
    job = (await quoting.http.post(f"{API}/{id}/reindex")).json()
    assert job["state"] == "queued"
    assert (await quoting.http.post(f"{API}/{id}/reindex")).json()["id"] == job["id"]
    await work(quoting)
    second, first = await versions(quoting, id)
    assert (second["active"], second["restored_from"], second["sha256"]) == (True, 1, first["sha256"])
    assert (await quoting.http.get(f"{API}/{id}/chunks")).json()["items"][0]["text"] == "Comets are ice."


async def test_an_upload_behind_a_restore_wins(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    id = await two_versions(quoting, slug)
    await quoting.http.post(f"{API}/{id}/versions/1/restore")
    await quoting.upload(("a.txt", "Comets weigh nothing."), slug=slug)
    assert "nothing" in await said(quoting, slug)
    assert [item["number"] for item in await versions(quoting, id) if item["active"]] == [4]


async def test_what_cannot_be_restored_is_a_conflict(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    id = await two_versions(quoting, slug)
    restore = f"{API}/{id}/versions/{{}}/restore"
    check_problem(await quoting.http.post(restore.format(2)), 409, "version_is_active")
    await quoting.upload(("a.txt", ""), slug=slug)
    check_problem(await quoting.http.post(restore.format(3)), 409, "version_not_ready")
    check_problem(await quoting.http.post(restore.format(4)), 404, "version_not_found")
    for number in ("0", "-1", "x", "1.5", str(2**31), "a%00b"):
        check_problem(await quoting.http.post(restore.format(number)), 422, "invalid_input")
    unread = (await quoting.upload(("b.txt", ""), slug=slug))["documents"][0]["id"]
    check_problem(await quoting.http.post(f"{API}/{unread}/reindex"), 409, "document_not_ready")


@pytest.mark.parametrize("id", ["1", "a%00b", "%ED%A0%80", "' OR 1=1", "9" * 40])
async def test_an_id_that_is_none_is_refused(quoting: Server, id: str) -> None:
    for method, path in (
        ("GET", "/versions"),
        ("GET", "/content"),
        ("POST", "/reindex"),
        ("POST", "/versions/1/restore"),
        ("PATCH", ""),
    ):
        answer = await quoting.http.request(method, f"{API}/{id}{path}", json={"tags": []})
        check_problem(answer, 422, "invalid_input")


async def test_what_does_not_exist_or_was_deleted_is_not_found(quoting: Server, new_base: NewBase) -> None:
    id = await two_versions(quoting, await new_base(quoting))
    await quoting.http.delete(f"{API}/{id}")
    for gone in (id, uuid4()):
        for method, path in (
            ("GET", "/versions"),
            ("GET", "/content"),
            ("POST", "/reindex"),
            ("POST", "/versions/1/restore"),
        ):
            answer = await quoting.http.request(method, f"{API}/{gone}{path}")
            check_problem(answer, 404, "document_not_found")


async def test_the_original_is_the_very_bytes_of_the_version_asked_for(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    id = await two_versions(quoting, slug)
    get = quoting.http.get
    assert (await get(f"{API}/{id}/content")).content == b"Comets weigh ninety tonnes."
    assert (await get(f"{API}/{id}/content?version=1")).content == b"Comets weigh twelve grams."
    check_problem(await get(f"{API}/{id}/content?version=3"), 404, "version_not_found")
    for version in ("0", "x", "-1", str(2**31)):
        check_problem(await get(f"{API}/{id}/content?version={version}"), 422, "invalid_input")
    files = {"files": ("unread.bin", bytes(range(256)) * 10_000)}
    unread = (await quoting.http.post(PATH.format(slug), files=files)).json()["documents"][0]["id"]
    answer = await get(f"{API}/{unread}/content")
    assert answer.content == bytes(range(256)) * 10_000
    assert answer.headers["content-type"] == "application/octet-stream"
    await quoting.http.delete(f"{API}/{unread}")


async def test_an_original_that_is_gone_is_told(quoting: Server, new_base: NewBase) -> None:
    slug, before = await new_base(quoting), blobs(quoting)
    uploaded = await quoting.upload(("a.txt", "Comets are ice."), slug=slug)
    for path in blobs(quoting) - before:
        path.unlink()
    answer = await quoting.http.get(f"{API}/{uploaded['documents'][0]['id']}/content")
    check_problem(answer, 404, "content_missing")


SCRIPT = "<script>alert(1)</script><p>Comets are ice.</p>"
NAMES = [
    "page.html",
    "picture.svg",
    'a"b;c.html',
    "Größe ১২৩ 日本.html",
    "..",
    "' onload=x.html",
    "a%0d%0aSet-Cookie: x.html",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_page_or_picture_with_a_script_is_a_download_and_never_runs(
    quoting: Server, new_base: NewBase, name: str
) -> None:
    slug = await new_base(quoting)
    uploaded = await quoting.upload((name, SCRIPT), slug=slug)
    (document,) = uploaded["documents"]
    answer = await quoting.http.get(f"{API}/{document['id']}/content")
    assert answer.text == SCRIPT
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "set-cookie" not in answer.headers
    disposition = answer.headers["content-disposition"]
    plain, encoded = disposition.removeprefix('attachment; filename="').split("\"; filename*=UTF-8''")
    assert disposition.startswith("attachment; ")
    assert plain and not set(plain) & set('"\\;%/\r\n') and plain.isascii() and not plain.startswith(".")
    assert encoded == quote(document["filename"], safe="")


async def test_a_part_of_the_original_can_be_asked_for(quoting: Server, new_base: NewBase) -> None:
    uploaded = await quoting.upload(("a.txt", "Comets are ice."), slug=await new_base(quoting))
    path = f"{API}/{uploaded['documents'][0]['id']}/content"
    answer = await quoting.http.get(path, headers={"Range": "bytes=0-5"})
    assert (answer.status_code, answer.text) == (206, "Comets")
    assert answer.headers["content-security-policy"] == "sandbox"


async def test_erasing_removes_a_file_that_versions_share(server: Server) -> None:
    uploaded = await server.upload(("a.txt", "Owls hunt."), ("b.txt", "Larks sing."))
    id = uploaded["documents"][0]["id"]
    await server.http.post(f"{API}/{id}/reindex")
    await work(server)
    assert len(blobs(server)) == 2
    await server.http.delete(f"{API}/{id}")
    while await server.worker.erase_one():
        pass
    (left,) = blobs(server)
    assert left.read_bytes() == b"Larks sing."
