"""What comes with an upload: what becomes of conflicts, tags and metadata, and files that are not what they say."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from rag_service.blobs import BlobStore
from tests.api.conftest import NewBase
from tests.api.support import check_problem
from tests.api.test_uploads import PATH, blobs, documents
from tests.conftest import Serve, Server

API = "/api/v1"


async def post(server: Server, slug: str, *files: tuple[str, bytes], **more: Any) -> Any:
    sent = [("files", (name, data)) for name, data in files]
    return await server.http.post(PATH.format(slug), files=sent, **more)


@pytest.mark.parametrize("where", ["params", "data"])
async def test_a_name_that_is_taken_is_skipped_or_refused_where_asked(
    quoting: Server, new_base: NewBase, where: str
) -> None:
    slug = await new_base(quoting)
    old, new = ("a.txt", b"Old comets."), ("b.txt", b"Stars.")
    await quoting.upload(("a.txt", "Old comets."), slug=slug)
    before = blobs(quoting)
    changed = ("a.txt", b"New comets.")

    refused = await post(quoting, slug, new, changed, **{where: {"on_conflict": "reject"}})
    assert "'a.txt'" in check_problem(refused, 409, "document_exists")["detail"]
    assert [item["filename"] for item in await documents(quoting, slug)] == ["a.txt"]
    assert blobs(quoting) == before

    body = (await post(quoting, slug, changed, new, **{where: {"on_conflict": "skip"}})).json()
    assert [item["status"] for item in body["documents"]] == ["skipped", "added"]
    assert len(body["jobs"]) == 1
    body = (await post(quoting, slug, old, changed, **{where: {"on_conflict": "version"}})).json()
    assert [item["status"] for item in body["documents"]] == ["unchanged", "updated"]
    first, second = await documents(quoting, slug)
    assert (first["version"], second["version"]) == (2, 1)


async def test_a_name_twice_in_one_upload_is_two_versions_or_a_conflict(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    twice = (("a.txt", b"First."), ("a.txt", b"Second."))
    refused = await post(quoting, slug, *twice, params={"on_conflict": "reject"})
    check_problem(refused, 409, "document_exists")
    assert await documents(quoting, slug) == []
    body = (await post(quoting, slug, *twice)).json()
    assert [item["status"] for item in body["documents"]] == ["added", "updated"]


async def test_how_to_handle_conflicts_is_said_once_and_is_one_of_three(quoting: Server) -> None:
    file = ("a.txt", b"x")
    for value in ("replace", "a\x00b", "$ne"):
        answer = await post(quoting, "default", file, params={"on_conflict": value})
        check_problem(answer, 422, "invalid_input")
        answer = await post(quoting, "default", file, data={"on_conflict": value})
        check_problem(answer, 422, "invalid_input")
    both = {"params": {"on_conflict": "skip"}, "data": {"on_conflict": "reject"}}
    check_problem(await post(quoting, "default", file, **both), 422, "invalid_input")


async def test_two_uploads_of_the_same_files_in_another_order_both_end(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    files = [(f"{number}.txt", b"Comets.") for number in range(30)]
    answers = await asyncio.gather(
        *(post(quoting, slug, *order) for order in (files, files[::-1]) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert {item["version"] for item in await documents(quoting, slug)} == {1}


METADATA: dict[str, Any] = {"year": 2024, "share": 0.5, "public": True, "author": "Größe ১২৩", "x.y-z_1": ""}


async def test_tags_and_metadata_are_kept_shown_and_changed(quoting: Server, new_base: NewBase) -> None:
    slug = await new_base(quoting)
    form = {"tags": ["staff", " new ", "staff"], "metadata": json.dumps(METADATA)}
    await post(quoting, slug, ("a.txt", b"Comets."), ("b.txt", b"Stars."), data=form)
    for document in await documents(quoting, slug):
        assert (document["tags"], document["metadata"]) == (["staff", "new"], METADATA)
    path = f"{API}/documents/{document['id']}"

    changed = (await quoting.http.patch(path, json={"tags": []})).json()
    assert (changed["tags"], changed["metadata"]) == ([], METADATA)
    changed = (await quoting.http.patch(path, json={"metadata": {"a": 1}})).json()
    assert (changed["tags"], changed["metadata"]) == ([], {"a": 1})
    assert (await quoting.http.get(path)).json() == changed

    await post(quoting, slug, ("b.txt", b"New stars."))
    assert (await quoting.http.get(path)).json()["metadata"] == {"a": 1}
    same = await post(quoting, slug, ("b.txt", b"New stars."), data={"tags": "again"})
    assert same.json()["documents"][0]["status"] == "unchanged"
    assert (await quoting.http.get(path)).json()["tags"] == ["again"]
    await post(quoting, slug, ("b.txt", b"Other."), data={"tags": "no"}, params={"on_conflict": "skip"})
    assert (await quoting.http.get(path)).json()["tags"] == ["again"]


BAD_METADATA: list[Any] = [
    [],
    "text",
    5,
    None,
    {"a": None},
    {"a": []},
    {"a": {"$ne": ""}},
    {"$or": "x"},
    {"a b": 1},
    {"": 1},
    {"x" * 65: 1},
    {"a\x00": 1},
    {"a": "x\x00"},
    {"a": "x" * 501},
    {f"k{number}": 1 for number in range(33)},
]


@pytest.mark.parametrize("metadata", BAD_METADATA, ids=lambda value: str(value)[:40])
async def test_metadata_that_cannot_be_kept_is_refused(
    quoting: Server, new_base: NewBase, metadata: Any
) -> None:
    slug = await new_base(quoting)
    form = {"metadata": json.dumps(metadata)}
    problem = check_problem(await post(quoting, slug, ("a.txt", b"x"), data=form), 422, "invalid_input")
    assert problem["errors"][0]["field"].startswith("metadata")
    assert await documents(quoting, slug) == []
    path = f"{API}/documents/{uuid4()}"
    check_problem(await quoting.http.patch(path, json={"metadata": metadata}), 422, "invalid_input")


@pytest.mark.parametrize(
    "text",
    ["{", "{'a': 1}", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "[" * 50_000, '{"a":' * 9_000],
    ids=lambda text: text[:20],
)
async def test_metadata_that_is_no_json_is_refused(quoting: Server, text: str) -> None:
    answer = await post(quoting, "default", ("a.txt", b"x"), data={"metadata": text})
    check_problem(answer, 422, "invalid_input")


async def test_fields_and_tags_that_cannot_be_used_are_refused(quoting: Server) -> None:
    file = ("a.txt", b"x")
    many = [f"t{number}" for number in range(33)]
    forms: list[dict[str, Any]] = [
        *({"tags": tags} for tags in ([""], ["x" * 65], many, ["a\x00b"])),
        *({name: "x"} for name in ("owner_id", "role", "tag", "knowledge_base_id")),
    ]
    for form in forms:
        check_problem(await post(quoting, "default", file, data=form), 422, "invalid_input")
    path = f"{API}/documents/{uuid4()}"
    for body in ({}, {"tags": None}, {"filename": "x"}, {"tags": "x"}, {"deleted_at": None}):
        check_problem(await quoting.http.patch(path, json=body), 422, "invalid_input")
    check_problem(await quoting.http.patch(path, json={"tags": []}), 404, "document_not_found")


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.txt", "text")
    return held.getvalue()


PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100
LIARS: list[tuple[str, bytes, str | None, str]] = [
    ("notes.txt", PNG, None, "a picture"),
    ("notes.md", zipped(), None, "a packed file"),
    ("notes.csv", b"%PDF-1.7\n", None, "a PDF"),
    ("report.pdf", PNG, None, "a picture"),
    ("report.pdf", zipped(), None, "a packed file"),
    ("report.docx", b"%PDF-1.7\n", None, "a PDF"),
    ("report.docx", b"\x1f\x8b\x08\x00", None, "an archive"),
    ("picture.png", b"%PDF-1.7\n", None, "a PDF"),
    ("page.html", b"GIF89a", None, "a picture"),
    ("notes", PNG, "text/plain", "a picture"),
    ("notes", zipped(), "application/pdf", "a packed file"),
    ("data.json", b"SQLite format 3\x00", None, "a database"),
    ("song.txt", b"ID3\x04\x00", None, "sound"),
]


@pytest.mark.parametrize(("name", "data", "declared", "seen"), LIARS, ids=lambda value: str(value)[:20])
async def test_a_file_that_is_not_what_it_calls_itself_is_refused(
    quoting: Server, new_base: NewBase, name: str, data: bytes, declared: str | None, seen: str
) -> None:
    slug, before = await new_base(quoting), blobs(quoting)
    liar = (name, data, declared) if declared else (name, data)
    files = [("files", ("good.txt", b"Comets.")), ("files", liar)]
    answer = await quoting.http.post(PATH.format(slug), files=files)
    problem = check_problem(answer, 415, "content_mismatch")
    assert name in problem["detail"] and seen in problem["detail"]
    assert await documents(quoting, slug) == []
    assert blobs(quoting) == before


@pytest.mark.parametrize("name", ["setup.exe", "notes.txt", "report.pdf", "x"])
@pytest.mark.parametrize("data", [b"MZ\x90\x00" + b"\x00" * 60, b"\x7fELF\x02\x01"])
async def test_a_program_is_refused_whatever_its_name(quoting: Server, name: str, data: bytes) -> None:
    answer = await post(quoting, "default", (name, data))
    assert "a program" in check_problem(answer, 415, "unsupported_type")["detail"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b"MZ is a country code, BM another, ID3 a tag."),
        ("a.docx", zipped()),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),  # encrypted ones look so
        ("a.zip", zipped()),
        ("a.png", PNG),
        ("a", b"%PDF-1.7\n"),
        ("a.pdf", b"\n\n%PDF-1.7\n"),
        ("a.doc", b"{\\rtf1 text}"),
        ("a.xyz", bytes(range(256))),
        ("a.txt", b""),
    ],
)
async def test_what_the_first_bytes_do_not_tell_is_left_to_the_reader(
    quoting: Server, new_base: NewBase, name: str, data: bytes
) -> None:
    slug = await new_base(quoting)
    assert (await post(quoting, slug, (name, data))).status_code == 202
    await quoting.http.delete(f"{API}/knowledge-bases/{slug}")


async def test_a_full_disk_is_told_and_leaves_nothing_behind(
    quoting: Server, new_base: NewBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug, before = await new_base(quoting), blobs(quoting)
    opened, stored = Path.open, []

    def second_one_on_a_full_disk(path: Path, *how: Any, **more: Any) -> Any:
        if path.suffix != ".part":
            return opened(path, *how, **more)
        stored.append(path)
        made = opened(path, *how, **more)
        if len(stored) == 1:
            return made
        made.close()
        return opened(Path("/dev/full"), "wb")  # a device of the kernel's that has no room, ever

    monkeypatch.setattr(Path, "open", second_one_on_a_full_disk)
    for size in (10, 1_000_000):
        stored.clear()
        answer = await post(quoting, slug, ("a.txt", b"Comets."), ("b.txt", b"x" * size))
        check_problem(answer, 507, "disk_full")
    monkeypatch.undo()
    assert await documents(quoting, slug) == []
    assert blobs(quoting) == before
    assert (await post(quoting, slug, ("a.txt", b"Comets."))).status_code == 202


@pytest.fixture
def no_room_for_spools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What of an upload is too large for memory goes to a file that has no room."""
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        yield
        monkeypatch.undo()


@pytest.mark.usefixtures("no_room_for_spools")
async def test_a_disk_that_is_full_while_the_upload_comes_in_is_told(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    answer = await post(quoting, slug, ("a.txt", b"x" * 500_000))
    check_problem(answer, 507, "disk_full")
    assert await documents(quoting, slug) == []


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [
        (10**12, b"--x\r\n", 413),
        (40, b"--x\r\n" + b"y" * 100, 400),
    ],
)
async def test_a_lying_content_length_is_refused(
    quoting: Server, new_base: NewBase, length: int, body: bytes, status: int
) -> None:
    slug, before = await new_base(quoting), blobs(quoting)
    address = urlsplit(quoting.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [
        f"POST {PATH.format(slug)} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Authorization: {quoting.http.headers['authorization']}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {length}",
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode() + body)
    async with asyncio.timeout(5):
        assert f" {status} ".encode() in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert await documents(quoting, slug) == []
    assert blobs(quoting) == before


async def test_a_field_that_is_too_long_or_one_of_too_many_is_refused(quoting: Server) -> None:
    file = ("a.txt", b"x")
    for form in ({"metadata": " " * 70_000}, {"tags": ["x"] * 65}):
        check_problem(await post(quoting, "default", file, data=form), 400, "bad_request")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_store_that_is_cut_off_keeps_nothing(tmp_path: Path) -> None:
    async def cut() -> Any:
        yield b"some"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await BlobStore(tmp_path).put(cut(), limit=100)
    assert files_in(tmp_path) == []


async def test_a_document_uploaded_into_a_base_that_is_being_deleted_is_not_left_over(serve: Serve) -> None:
    async with serve() as server:
        for number in range(5):
            slug = f"race-{number}"
            await server.http.post(f"{API}/knowledge-bases", json={"slug": slug, "name": slug})
            files = [(f"{place}.txt", b"Comets.") for place in range(20)]
            upload, _ = await asyncio.gather(
                post(server, slug, *files), server.http.delete(f"{API}/knowledge-bases/{slug}")
            )
            assert upload.status_code in (202, 404)
        while await server.worker.erase_one():
            pass
        assert blobs(server) == set()
