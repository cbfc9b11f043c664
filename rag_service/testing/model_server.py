"""A local server that speaks OpenAI's protocol, Anthropic's, Google's and Ollama's, and fails on demand.

Real HTTP over real sockets, so that what a test sees of a slow, silent or broken model is what
production would see. `python -m rag_service.testing.model_server --port 9000` runs it by hand.
"""

import argparse
import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rag_service.testing.completions import (
    SERVER_ERROR,
    Fault,
    Reply,
    answer,
    embed,
    embeddings_body,
    error_body,
    openai_wire,
    split_tokens,
    tiny_model,
)
from rag_service.testing.other_wires import (
    anthropic_wire,
    google_question,
    google_refusal,
    google_wire,
    ollama_wire,
)

__all__ = ["Fault", "ModelServer", "RecordedRequest", "Reply", "embed", "split_tokens", "tiny_model"]

_CHATS = {"/v1/chat/completions": openai_wire, "/v1/messages": anthropic_wire, "/api/chat": ollama_wire}
_GOOGLE = "/v1beta/models/{model}:streamGenerateContent"


@dataclass(frozen=True)
class RecordedRequest:
    """A request as it came in; `at` is `time.monotonic()`, to measure the pause before a retry."""

    path: str
    json: dict[str, Any]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the app: two faults are below what ASGI can say."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": transport}


class _Uvicorn(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for protocol in list(self.server_state.connections):
            protocol.transport.abort()  # a silent stream would otherwise hold the stop up for ever
        await super().shutdown(sockets)


class _Counted(StreamingResponse):
    """A response that `ModelServer.open_streams` counts while it lasts, however it ends."""

    def __init__(self, server: "ModelServer", chunks: AsyncGenerator[bytes, None], media_type: str) -> None:
        super().__init__(chunks, media_type=media_type)
        self._server = server
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._server.open_streams += 1
        try:
            async with contextlib.aclosing(self._chunks):
                await super().__call__(scope, receive, send)
        finally:
            self._server.open_streams -= 1


class ModelServer:
    """OpenAI's chat, embedding and model routes on 127.0.0.1, for streamed chats those of other protocols too; `with`
    or `async with` starts and stops it.

    It runs in a thread with its own loop, which alone writes `requests` and `open_streams`: any
    thread may read them. `open_streams` counts the chat answers under way, streamed or not.
    Without `keep_alive` no chat leaves an open connection behind in its client. Stopped and started again, it keeps
    its port. Stopping takes at most 2 s, whatever streams.
    """

    def __init__(
        self, reply: Reply | None = None, *, port: int = 0, dimensions: int = 384, keep_alive: bool = True
    ) -> None:
        self.keep_alive = keep_alive
        self.port = port
        self.dimensions = dimensions
        self.requests: list[RecordedRequest] = []
        self.open_streams = 0
        self._default = reply or Reply()
        self._script: deque[Reply] = deque()
        self._running: tuple[_Uvicorn, threading.Thread] | None = None

    @property
    def base_url(self) -> str:
        """What `OPENAI_BASE_URL` wants; with `port=0` it is known once the server has started."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def root_url(self) -> str:
        """What `ANTHROPIC_BASE_URL`, `GOOGLE_GEMINI_BASE_URL` and `OLLAMA_HOST` want."""
        return self.base_url.removesuffix("/v1")

    def reply(self, reply: Reply) -> None:
        """From now on, answer so whenever the script is empty."""
        self._default = reply

    def script(self, *replies: Reply) -> None:
        """Add to the replies that the next chat requests get, one each, before the default."""
        self._script.extend(replies)

    def reset(self, reply: Reply | None = None) -> None:
        """Forget requests, script and default, so that one server can serve many tests."""
        self._script.clear()
        self.requests.clear()
        self._default = reply or Reply()

    async def wait_for(self, predicate: Callable[[], bool], timeout: float = 2.0) -> None:
        """Return once `predicate()` is true; `TimeoutError` after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            # Polled, because a predicate may look at anything, not only at what this server knows.
            while not predicate():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def start(self) -> None:
        """Listen, and serve in a thread. `OSError` if the port is taken."""
        # The kernel queues connections from here on, so nobody needs to wait for the thread.
        listener = socket.create_server(("127.0.0.1", self.port), backlog=2048)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app(), http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            timeout_keep_alive=3600, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = _Uvicorn(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="model-server", daemon=True)
        self._running = server, thread
        thread.start()

    def stop(self) -> None:
        """Cut what is under way and stop listening; again: does nothing."""
        if self._running is not None:
            server, thread = self._running
            server.should_exit = True
            thread.join(2)
            self._running = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.to_thread(self.stop)

    def _app(self) -> Starlette:
        chats = [Route(path, self._chat, methods=["POST"]) for path in (*_CHATS, _GOOGLE)]
        embeddings = Route("/v1/embeddings", self._embeddings, methods=["POST"])
        return Starlette(routes=[*chats, embeddings, Route("/v1/models", self._models)])

    async def _record(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json() if request.method == "POST" else {}
        self.requests.append(RecordedRequest(request.url.path, body, dict(request.headers)))
        return body

    async def _models(self, request: Request) -> Response:
        await self._record(request)
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "local"}
            for name in ("fake-chat", "fake-embedding")
        ]
        return JSONResponse({"object": "list", "data": models})

    async def _chat(self, request: Request) -> Response:
        response = await self._answer(request)
        if not self.keep_alive:
            response.headers["connection"] = "close"
        return response

    async def _answer(self, request: Request) -> Response:
        body = await self._record(request)
        reply = self._script.popleft() if self._script else self._default
        connection: asyncio.Transport = request.state.connection
        model = request.path_params.get("model")  # only Google's protocol has it in the path
        if model and (refusal := google_refusal(reply)):
            return JSONResponse(refusal, refusal["error"]["code"])
        if reply.fault is Fault.RATE_LIMITED:
            error = error_body("Rate limit reached for requests.", "requests", "rate_limit_exceeded")
            return JSONResponse(error, 429, headers={"retry-after": str(reply.retry_after)})
        if reply.fault is Fault.SERVER_ERROR:
            return JSONResponse(SERVER_ERROR, 500)
        if reply.fault is Fault.KEY_REFUSED:
            error = error_body("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
            return JSONResponse(error, 401)
        if reply.fault is Fault.REFUSED:
            connection.close()
            await request.receive()  # the disconnect: only then is this response sure to go nowhere
            return Response()
        if model:
            body = google_question(body, model)
        media_type = "text/event-stream" if body.get("stream") else "application/json"
        speak = google_wire if model else _CHATS[request.url.path]
        return _Counted(self, answer(body, reply, connection, speak), media_type)

    async def _embeddings(self, request: Request) -> Response:
        body = await self._record(request)
        try:
            return JSONResponse(embeddings_body(body, self.dimensions))
        except ValueError as error:
            return JSONResponse(error_body(str(error), "invalid_request_error"), 400)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Serve a fake model over OpenAI's protocol until interrupted."
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--tokens-per-second", type=float, help="as fast as it goes unless given")
    options = parser.parse_args()
    with ModelServer(Reply(tokens_per_second=options.tokens_per_second), port=options.port) as server:
        sys.stdout.write(f"OPENAI_BASE_URL={server.base_url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
