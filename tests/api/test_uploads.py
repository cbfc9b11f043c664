"""Handing files in: accepted at once, read in the background, and what fails says why."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fpdf import FPDF

from tests.api.conftest import NewBase
from tests.api.support import check_problem, until, whole
from tests.conftest import Serve, Server

PATH = "/api/v1/knowledge-bases/{}/documents"


async def documents(server: Server, slug: str) -> list[dict[str, Any]]:
    answer = await server.http.get(PATH.format(slug))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def job_of(server: Server, uploaded: dict[str, Any]) -> dict[str, Any]:
    (job,) = uploaded["jobs"]
    found: dict[str, Any] = (await server.http.get(f"/api/v1/jobs/{job['id']}")).json()
    return found


def blobs(server: Server) -> set[Path]:
    return {path for path in server.services.settings.blob_dir.rglob("*") if path.is_file()}


async def test_several_files_at_once_are_accepted_with_a_document_and_a_job_each(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    files = [("files", ("one.md", b"# One\n\nComets are ice.")), ("files", ("two.txt", b"Stars are gas."))]
    answer = await quoting.http.post(PATH.format(slug), files=files)
    assert answer.status_code == 202
    body = answer.json()
    assert [item["filename"] for item in body["documents"]] == ["one.md", "two.txt"]
    assert {item["status"] for item in body["documents"]} == {"added"}
    for document, job in zip(body["documents"], body["jobs"], strict=True):
        assert job["document_id"] == document["id"]
        assert job["state"] == "queued"
        assert job["progress"] == {"done": 0, "total": 0}
        assert (job["attempts"], job["warnings"], job["error"]) == (0, [], None)
    pending = await documents(quoting, slug)
    assert {item["state"] for item in pending} == {"pending"}
    while await quoting.worker.run_one():
        pass
    assert [(item["filename"], item["state"]) for item in await documents(quoting, slug)] == [
        ("one.md", "ready"),
        ("two.txt", "ready"),
    ]
    assert (
        "Comets are ice. [" in (await whole(quoting.http, "What are comets?", knowledge_base=slug))["answer"]
    )


async def test_the_same_bytes_again_are_unchanged_and_make_no_job(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    first = await quoting.upload(("a.txt", "Comets are ice."), slug=slug)
    before = blobs(quoting)
    again = await quoting.upload(("a.txt", "Comets are ice."), slug=slug)
    assert again["jobs"] == []
    assert again["documents"] == [{**first["documents"][0], "status": "unchanged"}]
    assert blobs(quoting) == before


async def test_changed_bytes_are_a_new_version_and_the_old_text_is_gone(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    first = await quoting.upload(("a.txt", "Comets weigh twelve grams."), slug=slug)
    second = await quoting.upload(("a.txt", "Comets weigh ninety tonnes."), slug=slug)
    assert second["documents"] == [{**first["documents"][0], "status": "updated"}]
    (document,) = await documents(quoting, slug)
    assert (document["version"], document["state"]) == (2, "ready")
    body = {"query": "Comets weigh twelve grams", "knowledge_base": slug}
    hits = (await quoting.http.post("/api/v1/search", json=body)).json()["hits"]
    assert [hit["text"] for hit in hits] == ["Comets weigh ninety tonnes."]
    assert "twelve" not in (await whole(quoting.http, "How many grams?", knowledge_base=slug))["answer"]


async def test_a_file_that_is_too_large_leaves_nothing_behind_nor_do_those_beside_it(serve: Serve) -> None:
    async with serve(max_file_bytes=1000) as server:
        fits = ("files", ("fits.txt", b"x" * 1000))
        large = ("files", ("large.txt", b"x" * 1001))
        for files in ([large], [fits, large], [large, fits]):
            answer = await server.http.post(PATH.format("default"), files=files)
            problem = check_problem(answer, 413, "too_large")
            assert "large.txt" in problem["detail"] and "1,000" in problem["detail"]
        assert await documents(server, "default") == []
        assert (await server.http.get("/api/v1/jobs")).json()["items"] == []
        assert blobs(server) == set()
        assert (await server.http.post(PATH.format("default"), files=[fits])).status_code == 202


async def test_an_upload_that_is_too_large_altogether_is_refused(serve: Serve) -> None:
    async with serve(max_upload_bytes=50_000) as server:
        files = [("files", (f"{number}.txt", b"x" * 20_000)) for number in range(4)]
        check_problem(await server.http.post(PATH.format("default"), files=files), 413, "too_large")
        assert await documents(server, "default") == []
        assert blobs(server) == set()


async def test_an_upload_without_files_says_which_field_is_missing(quoting: Server) -> None:
    path = PATH.format("default")
    requests: list[dict[str, Any]] = [
        {"files": {"file": ("a.txt", b"x")}},
        {"data": {"files": "text"}},
        {"json": {}},
        {},
    ]
    for request in requests:
        answer = await quoting.http.post(path, **request)
        assert "files" in check_problem(answer, 422, "invalid_input")["detail"]


async def test_an_upload_of_thousands_of_parts_is_refused(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    for count in (201, 3000):
        files = [("files", (f"{number}.txt", b"x")) for number in range(count)]
        answer = await quoting.http.post(PATH.format(slug), files=files)
        assert "200" in check_problem(answer, 400, "bad_request")["detail"]
    assert await documents(quoting, slug) == []


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", b"\x00" * 100]
)
async def test_a_broken_multipart_body_is_refused(quoting: Server, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await quoting.http.post(PATH.format("default"), content=body, headers=headers)
    assert answer.status_code in (400, 422)
    check_problem(answer, answer.status_code, answer.json()["code"])


PART = '--x\r\nContent-Disposition: form-data; name="files"; filename="{}.txt"\r\n\r\n{}\r\n'
BODY = (PART.format("one", "Comets. " * 20_000) + PART.format("two", "Stars.") + "--x--\r\n").encode()


@pytest.mark.parametrize("sent", [0, 3, 30, 100, 100_000, len(BODY) - 90, len(BODY) - 9, len(BODY) - 3])
async def test_an_upload_that_is_cut_leaves_nothing_behind(
    quoting: Server, new_base: NewBase, sent: int
) -> None:
    slug = await new_base(quoting)
    before = blobs(quoting)
    address = urlsplit(quoting.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [
        f"POST {PATH.format(slug)} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: {quoting.http.headers['authorization']}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {len(BODY)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + BODY[:sent])
    writer.write_eof()
    async with asyncio.timeout(20):
        assert b"202" not in await reader.read()  # until the server has seen that no more comes
    writer.close()
    await writer.wait_closed()

    async def is_as_before() -> bool:
        return blobs(quoting) == before

    await until(is_as_before)
    assert await documents(quoting, slug) == []


def encrypted_pdf() -> bytes:
    pdf = FPDF()
    pdf.set_encryption(owner_password="owner", user_password="user")
    pdf.add_page()
    pdf.set_font("Helvetica")
    pdf.cell(text="A secret.")
    return bytes(pdf.output())


UNREADABLE = {
    "empty.md": (b"", "empty_document"),
    "blank.txt": (b" \n\n\t ", "empty_document"),
    "signs.txt": (b"--- *** ---", "no_text"),
    "noise.bin": (bytes(range(256)) * 20, "unsupported_type"),
    "locked.pdf": (encrypted_pdf(), "encrypted"),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + b"\x00" * 200, None),
    "torn.pdf": (b"%PDF-1.7\nnothing more", None),
    "liar.docx": (b"PK\x03\x04 not an archive", None),
}


async def test_files_without_usable_text_fail_with_a_reason_that_names_them(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    files = [(name, data) for name, (data, _) in UNREADABLE.items()]
    await quoting.upload(*files, ("good.txt", "Comets are ice."), slug=slug)
    *failed, good = await documents(quoting, slug)
    assert (good["filename"], good["state"]) == ("good.txt", "ready")
    for document, (filename, (_, code)) in zip(failed, UNREADABLE.items(), strict=True):
        job = document["job"]
        assert (document["filename"], document["state"], job["state"]) == (filename, "failed", "failed")
        assert job["error"]["code"] == (code or job["error"]["code"])
        assert filename in job["error"]["detail"]
        assert job["finished_at"]
        answer: httpx.Response = await quoting.http.get(f"/api/v1/documents/{document['id']}/chunks")
        check_problem(answer, 404, "document_not_ready")


async def test_a_version_that_fails_leaves_the_one_before_in_force(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    await quoting.upload(("a.txt", "Comets are ice."), slug=slug)
    job = await job_of(quoting, await quoting.upload(("a.txt", b""), slug=slug))
    assert job["state"] == "failed"
    assert "Comets are ice." in (await whole(quoting.http, "What are comets?", knowledge_base=slug))["answer"]
