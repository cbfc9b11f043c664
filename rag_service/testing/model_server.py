"""A local server that speaks OpenAI's protocol, and fails on demand.

Real HTTP over real sockets, so that what a test sees of a slow, silent or broken model is what
production would see. `python -m rag_service.testing.model_server --port 9000` runs it by hand.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import math
import re
import socket
import struct
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SOURCE_ONE = re.compile(r'<source\b[^>]*\bnumber="1"[^>]*>(.*?)</source>|^\s*\[1\]\s*([^\n]+)', re.S | re.M)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n")
_TOKEN = re.compile(r"\s*\[\d+\]|\s*\w{1,8}|\s*[^\w\s]|\s+")


class Fault(Enum):
    """How a chat request goes wrong. Those marked (mid) strike after `Reply.after_tokens` tokens."""

    NONE = "none"
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    SERVER_ERROR = "server_error"  # 500
    REFUSED = "refused"  # accepted, then closed without a byte
    SILENT_BEFORE_FIRST = "silent_before_first"  # headers, then nothing until the client leaves
    SILENT_BETWEEN = "silent_between"  # (mid) nothing more until the client leaves
    CUT = "cut"  # (mid) closed inside an HTTP chunk
    TRUNCATED_JSON = "truncated_json"  # (mid) an event of half a JSON, then a clean end
    STREAM_ERROR = "stream_error"  # (mid) an event that holds an error, then a clean end
    NO_DONE = "no_done"  # every token, then a clean end: no finish_reason, usage or [DONE]


_MID_STREAM = {Fault.SILENT_BETWEEN, Fault.CUT, Fault.TRUNCATED_JSON, Fault.STREAM_ERROR}


def tiny_model(body: Mapping[str, Any]) -> str:
    """Answer from the last user message of a chat request, as a very small model would.

    Numbered sources in it (lines `[1] …` or blocks `<source number="1">…</source>`): the first
    sentence of source 1, then ` [1]`. None: its last line, which reads as a rewritten question.
    """
    asked = next((_content(m) for m in reversed(body["messages"]) if m["role"] == "user"), "")
    source = _SOURCE_ONE.search(asked)
    if source is None:
        return (asked.strip().splitlines() or [""])[-1]
    return _SENTENCE_END.split((source[1] or source[2]).strip(), maxsplit=1)[0] + " [1]"


@dataclass(frozen=True)
class Reply:
    """What a chat request gets. Delays are in seconds; `token_delay` outranks `tokens_per_second`.

    `text` may be a function of the request's body; `usage` replaces the counted one. A request
    without `stream` meets the same faults, with its one JSON body in the place of the next event.
    """

    text: str | Callable[[dict[str, Any]], str] = tiny_model
    tokens_per_second: float | None = None
    first_token_delay: float = 0.0
    token_delay: float = 0.0
    usage: Mapping[str, int] | None = None
    finish_reason: str = "stop"
    fault: Fault = Fault.NONE
    after_tokens: int = 3
    retry_after: int = 1

    @property
    def interval(self) -> float:
        """Seconds from one token to the next."""
        return self.token_delay or (1 / self.tokens_per_second if self.tokens_per_second else 0.0)


@dataclass(frozen=True)
class RecordedRequest:
    """A request as it came in; `at` is `time.monotonic()`, to measure the pause before a retry."""

    path: str
    json: dict[str, Any]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


def split_tokens(text: str) -> list[str]:
    """Pieces as a model streams them; joined, they are `text` again.

    Citation markers come in three pieces, whole, and in two pieces by turns: real models do that.
    """
    tokens: list[str] = []
    markers = 0
    for piece in _TOKEN.findall(text):
        cuts: tuple[int, ...] = ()
        if piece.endswith("]") and "[" in piece:
            cuts = ((piece.index("[") + 1, len(piece) - 1), (), (len(piece) - 1,))[markers % 3]
            markers += 1
        tokens += [piece[start:end] for start, end in itertools.pairwise((0, *cuts, len(piece)))]
    return tokens


def embed(text: str, dimensions: int) -> list[float]:
    """A unit vector made of hashed words: deterministic, and texts that share words are near."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()):
        digest = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest())
        vector[(digest >> 1) % dimensions] += 1.0 if digest & 1 else -1.0
    if not any(vector):
        vector[0] = 1.0  # no words, or words that cancel out: still a unit vector
    norm = math.hypot(*vector)
    return [value / norm for value in vector]


def _encoded(vector: list[float], body: Mapping[str, Any]) -> list[float] | str:
    if body.get("encoding_format") != "base64":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


_SERVER_ERROR = _error("The server had an error while processing your request.", "server_error")


def _json(payload: object) -> bytes:
    # Raw UTF-8, as OpenAI sends it: escapes would hide a client that decodes byte by byte.
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _event(payload: object) -> bytes:
    return b"data: " + _json(payload) + b"\n\n"


class _Wire(NamedTuple):
    """An answer as bytes: what comes with the first token, one piece a token, what follows the last."""

    opening: list[bytes]
    tokens: list[bytes]
    ending: list[bytes]
    error: bytes


def _streamed(head: dict[str, Any], tokens: list[str], usage: dict[str, int] | None, finish: str) -> _Wire:
    """`usage` None: not asked for. If it is, every event but its own carries it as null."""
    head = {**head, "object": "chat.completion.chunk"} | ({} if usage is None else {"usage": None})

    def event(finish_reason: str | None = None, **delta: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**head, "choices": [choice]})

    opening = [event(role="assistant", content="", refusal=None)]
    totals = [] if usage is None else [_event({**head, "choices": [], "usage": usage})]
    ending = [event(finish), *totals, b"data: [DONE]\n\n"]
    return _Wire(opening, [event(content=token) for token in tokens], ending, _event(_SERVER_ERROR))


def _whole(head: dict[str, Any], text: str, usage: dict[str, int], finish: str | None) -> _Wire:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    return _Wire([], [], [_json(body)], _json(_SERVER_ERROR))


def _wire(body: dict[str, Any], reply: Reply, tokens: list[str]) -> _Wire:
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body["model"]}
    asked, said = sum(len(split_tokens(_content(m))) for m in body["messages"]), len(tokens)
    counted = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    usage = dict(reply.usage or counted)
    unfinished = reply.fault is Fault.NO_DONE
    if not body.get("stream"):
        return _whole(head, "".join(tokens), usage, None if unfinished else reply.finish_reason)
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    wire = _streamed(head, tokens, usage if with_usage else None, reply.finish_reason)
    return wire._replace(ending=[]) if unfinished else wire


async def _until_client_leaves() -> None:
    await asyncio.Event().wait()  # ended by cancellation, when the connection is gone


async def _answer(
    body: dict[str, Any], reply: Reply, connection: asyncio.Transport
) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer at its pace, up to its fault."""
    tokens = split_tokens(reply.text(body) if callable(reply.text) else reply.text)
    wire = _wire(body, reply, tokens)
    unseen = 0.0 if body.get("stream") else reply.interval * len(tokens)
    await asyncio.sleep(reply.first_token_delay + unseen)
    if reply.fault is Fault.SILENT_BEFORE_FIRST:
        await _until_client_leaves()
    for piece in wire.opening:
        yield piece
    strikes = reply.fault in _MID_STREAM
    start = time.monotonic()
    for number, piece in enumerate(wire.tokens[: reply.after_tokens] if strikes else wire.tokens):
        # Against the clock, not the last token: a late wake-up must not slow the whole stream.
        await asyncio.sleep(max(0.0, start + number * reply.interval - time.monotonic()))
        yield piece
    if strikes:
        due = (wire.tokens[reply.after_tokens :] + wire.ending)[0]
        async for piece in _strike(reply.fault, due, wire.error, connection):
            yield piece
        return
    for piece in wire.ending:
        yield piece


async def _strike(
    fault: Fault, due: bytes, error: bytes, connection: asyncio.Transport
) -> AsyncGenerator[bytes, None]:
    """Do what `fault` says in the place of the bytes `due`."""
    half = due[: len(due) // 2]
    if fault is Fault.TRUNCATED_JSON:
        yield half + b"\n\n"
    elif fault is Fault.STREAM_ERROR:
        yield error
    else:
        if fault is Fault.CUT:
            connection.write(b"%x\r\n" % len(due) + half)  # around the framing: a chunk that never ends
            connection.close()
        await _until_client_leaves()


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
    """OpenAI's chat, embedding and model routes on 127.0.0.1; `with` or `async with` starts and stops it.

    It runs in a thread with its own loop, which alone writes `requests` and `open_streams`: any
    thread may read them. `open_streams` counts the chat answers under way, streamed or not.
    Stopped and started again, it keeps its port. Stopping takes at most 2 s, whatever streams.
    """

    def __init__(self, reply: Reply | None = None, *, port: int = 0, dimensions: int = 384) -> None:
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
        chat = Route("/v1/chat/completions", self._chat, methods=["POST"])
        embeddings = Route("/v1/embeddings", self._embeddings, methods=["POST"])
        return Starlette(routes=[chat, embeddings, Route("/v1/models", self._models)])

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
        body = await self._record(request)
        reply = self._script.popleft() if self._script else self._default
        connection: asyncio.Transport = request.state.connection
        if reply.fault is Fault.RATE_LIMITED:
            error = _error("Rate limit reached for requests.", "requests", "rate_limit_exceeded")
            return JSONResponse(error, 429, headers={"retry-after": str(reply.retry_after)})
        if reply.fault is Fault.SERVER_ERROR:
            return JSONResponse(_SERVER_ERROR, 500)
        if reply.fault is Fault.REFUSED:
            connection.close()
            await request.receive()  # the disconnect: only then is this response sure to go nowhere
            return Response()
        media_type = "text/event-stream" if body.get("stream") else "application/json"
        return _Counted(self, _answer(body, reply, connection), media_type)

    async def _embeddings(self, request: Request) -> Response:
        body = await self._record(request)
        inputs = body["input"]
        if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)):
            inputs = [inputs]
        # A text may come as token ids: each id is then a word.
        texts = [text if isinstance(text, str) else " ".join(map(str, text)) for text in inputs]
        size = body.get("dimensions") or self.dimensions
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(embed(text, size), body)}
            for index, text in enumerate(texts)
        ]
        used = sum(len(split_tokens(text)) for text in texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})


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
