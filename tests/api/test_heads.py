"""Heads of requests that do not end: refused while they come in, since the parser holds what it has of them."""

import asyncio
from urllib.parse import urlsplit

import pytest

from rag_service.api.serving import HEAD_BYTES
from tests.conftest import Server

GET, HOST = b"GET /health/live", b"Host: 127.0.0.1\r\n"
CHUNKED = b"POST /api/v1/search HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


async def answered(server: Server, *parts: bytes) -> bytes:
    """All that is said until the server closes; each part but the first is sent when something was said of the last."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    said = b""
    async with asyncio.timeout(10):
        for part in parts:
            said += await reader.readline() if part is not parts[0] else b""
            writer.write(part)
        said += await reader.read()
    writer.close()
    await writer.wait_closed()
    return said


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (GET + b"?", b"x"),
        (GET + b" HTTP/1.1\r\n" + HOST + b"X-", b"x"),
        (GET + b" HTTP/1.1\r\n" + HOST + b"X-Long: ", b"x"),
        (GET + b" HTTP/1.1\r\n" + HOST, b"X-One: more\r\n"),
    ],
    ids=["address", "name", "value", "headers"],
)
async def test_a_head_without_end_is_refused_while_it_comes(
    quoting: Server, begun: bytes, more: bytes
) -> None:
    head = begun + more * HEAD_BYTES
    assert (await answered(quoting, head[: HEAD_BYTES + 1])).startswith(b"HTTP/1.1 400 ")
    assert (await quoting.http.get("/health/live")).status_code == 200


@pytest.mark.parametrize("begun", [b"5;", b"0\r\nX-Long: "], ids=["chunk", "trailer"])
async def test_what_follows_a_head_is_refused_where_it_does_not_end(quoting: Server, begun: bytes) -> None:
    said = await answered(quoting, CHUNKED + begun, b"x" * (HEAD_BYTES + 1))
    assert said.startswith(b"HTTP/1.1 401 ") and b"HTTP/1.1 400 " in said


async def test_many_requests_and_long_bodies_on_one_connection_are_no_head(quoting: Server) -> None:
    longest = {"X-Long": "x" * (HEAD_BYTES // 2)}
    for _ in range(4):
        assert (await quoting.http.get("/health/live", headers=longest)).status_code == 200
    files = {"files": ("long.txt", b"Comets are ice. " * (HEAD_BYTES // 2))}
    answer = await quoting.http.post("/api/v1/knowledge-bases/default/documents", files=files)
    assert answer.status_code == 202
    await quoting.http.delete(f"/api/v1/documents/{answer.json()['documents'][0]['id']}")
