"""Who may: a key is proved before a body is read. Which role may what is in test_matrix.py."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api.conftest import Guest, client_of
from tests.api.support import check_problem, whole
from tests.conftest import Server

CHAT = "/api/v1/chat"


def check_refused(answer: httpx.Response) -> None:
    check_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer rag_admin_0123456789ab",
        f"Bearer rag_admin_0123456789ab_{'x' * 43}",
        f"Bearer rag_owner_0123456789ab_{'x' * 43}",
        f"Bearer rag_admin_0123456789ab_{'x' * 43}' OR '1'='1",
        "Bearer ' OR 1=1 --",
        f"Bearer {'x' * 4000}",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
        "Bearer e30.e30.e30",
        "Bearer ..",
        "Bearer \xff\xfe",
        "Token abc",
    ],
)
async def test_what_is_no_key_is_refused(quoting: Server, authorization: str) -> None:
    async with client_of(quoting.url, None) as nobody:
        headers = {b"Authorization": authorization.encode("latin-1")}
        check_refused(await nobody.get("/api/v1/conversations", headers=headers))


async def test_a_key_under_another_scheme_is_refused(quoting: Server) -> None:
    key = quoting.http.headers["authorization"].removeprefix("Bearer ")
    async with client_of(quoting.url, None) as nobody:
        for value in (f"Basic {key}", key, f"Bearer: {key}", f"Bearer {key}x", f"Bearer {key[:-1]}"):
            check_refused(await nobody.get("/api/v1/conversations", headers={"Authorization": value}))
        lower = {"Authorization": f"bearer {key}"}  # the scheme's case does not count: RFC 9110
        assert (await nobody.get("/api/v1/conversations", headers=lower)).status_code == 200


async def test_a_key_in_the_address_is_no_credential(quoting: Server) -> None:
    key = quoting.http.headers["authorization"].removeprefix("Bearer ")
    async with client_of(quoting.url, None) as nobody:
        check_refused(await nobody.get("/api/v1/conversations", params={"key": key, "api_key": key}))


async def test_a_revoked_key_is_refused_from_the_next_request_on(quoting: Server) -> None:
    made, key = await quoting.services.keys.create("soon revoked", "admin")
    async with client_of(quoting.url, key) as caller:
        assert (await caller.get("/api/v1/jobs")).status_code == 200
        await quoting.services.keys.revoke(made.prefix)
        check_refused(await caller.get("/api/v1/jobs"))


async def test_a_chat_key_may_ask(quoting: Server, guest: Guest) -> None:
    assert (await whole(await guest(quoting), "What is the moon made of?"))["citations"]


@pytest.mark.parametrize(
    "body", [b"not json", b'{"message": ""}', b"\xff\xfe", b"[" * 200_000, b"x" * 4_000_000]
)
async def test_without_a_key_it_does_not_matter_what_is_wrong_with_the_body(
    quoting: Server, body: bytes
) -> None:
    async with client_of(quoting.url, None) as nobody:
        for path in (CHAT, "/api/v1/knowledge-bases/default/documents"):
            headers = {"Content-Type": "application/json"}
            check_refused(await nobody.post(path, content=body, headers=headers))


@pytest.mark.parametrize("path", [CHAT, "/api/v1/knowledge-bases/default/documents", "/api/v1/search"])
async def test_a_request_without_a_key_is_refused_before_its_body_has_come(
    quoting: Server, path: str
) -> None:
    address = urlsplit(quoting.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [f"POST {path} HTTP/1.1", f"Host: {address.netloc}", "Content-Length: 1000000", "", ""]
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(5):
        assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_refused_upload_leaves_nothing_behind(quoting: Server, guest: Guest) -> None:
    blobs = quoting.services.settings.blob_dir
    before = sorted(blobs.rglob("*"))
    upload = {"files": ("secret.txt", b"text")}
    path = "/api/v1/knowledge-bases/default/documents"
    async with client_of(quoting.url, None) as nobody:
        check_refused(await nobody.post(path, files=upload))
    check_problem(await (await guest(quoting)).post(path, files=upload), 403, "forbidden")
    assert sorted(blobs.rglob("*")) == before


async def test_sql_in_an_id_or_a_name_is_only_text(quoting: Server) -> None:
    evil = "x'; DROP TABLE api_keys; --"
    get = quoting.http.get
    for path in (f"/documents/{evil}", f"/jobs/{evil}", f"/conversations/{evil}/messages"):
        check_problem(await get(f"/api/v1{path}"), 422, "invalid_input")
    found = await get(f"/api/v1/knowledge-bases/{evil}/documents")
    check_problem(found, 422, "invalid_input")
    for name in ("cursor", "limit", "state", "knowledge_base"):
        check_problem(await get("/api/v1/jobs", params={name: evil}), 422, "invalid_input")
    assert (await whole(quoting.http, evil))["finish_reason"]
    assert (await get("/api/v1/jobs")).status_code == 200
