"""The least that could stand between a reader and a model server: what ours is measured against.

`python -m evals.bench.relay UPSTREAM` prints its address.
"""

import socket
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


def relay(upstream: str) -> Starlette:
    """An app that passes chat requests on to `upstream`, and its bytes back as they come."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx.AsyncClient(base_url=upstream, timeout=60, limits=limits)

    async def chat(request: Request) -> StreamingResponse:
        sent = client.build_request(
            "POST",
            "chat/completions",
            content=await request.body(),
            headers={"Content-Type": "application/json"},
        )
        answer = await client.send(sent, stream=True)
        return StreamingResponse(
            _bytes(answer), media_type="text/event-stream", background=BackgroundTask(answer.aclose)
        )

    return Starlette(routes=[Route("/chat/completions", chat, methods=["POST"])])


async def _bytes(answer: httpx.Response) -> AsyncIterator[bytes]:
    async for piece in answer.aiter_raw():
        yield piece


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(relay(sys.argv[1]), log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
