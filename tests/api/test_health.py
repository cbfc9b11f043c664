"""Is it alive, can it serve, and what becomes of a question while a part is away."""

import socket

import httpx

from tests.api.conftest import client_of
from tests.api.support import check_problem, stored, stream
from tests.conftest import Serve, Server


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


async def test_health_needs_no_key(quoting: Server) -> None:
    async with client_of(quoting.url, None) as nobody:
        live = await nobody.get("/health/live")
        assert (live.status_code, live.json()) == (200, {"status": "alive"})
        ready = await nobody.get("/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert ready.headers["cache-control"] == "no-store"


async def test_without_the_vector_index_it_lives_but_is_not_ready_and_a_turn_ends_in_one_error(
    serve: Serve,
) -> None:
    async with serve(chroma_url=f"http://127.0.0.1:{closed_port()}") as server:
        assert (await server.http.get("/health/live")).status_code == 200
        answer: httpx.Response = await server.http.get("/health/ready")
        check_problem(answer, 503, "vector_index_unavailable")
        assert int(answer.headers["retry-after"]) > 0

        turn = await stream(server.http, "What is the moon made of?")
        assert [frame.name for frame in turn.frames] == ["start", "error"]
        assert turn.end.data["code"] == "vector_index_unavailable"
        assert turn.end.data["retryable"] is True
        kept = await stored(server.http, turn.start)
        assert (kept["state"], kept["error_code"]) == ("failed", "vector_index_unavailable")
        assert kept["content"] == ""

        body = {"message": "What is the moon made of?", "stream": False}
        check_problem(await server.http.post("/api/v1/chat", json=body), 503, "vector_index_unavailable")
        search = await server.http.post("/api/v1/search", json={"query": "moon"})
        check_problem(search, 503, "vector_index_unavailable")
