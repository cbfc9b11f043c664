"""What a model says, and how it looks on OpenAI's wire: the text, its tokens, its chunks, its faults."""

import asyncio
import base64
import hashlib
import itertools
import json
import math
import re
import struct
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

_SOURCE_ONE = re.compile(r'<source\b[^>]*\bnumber="1"[^>]*>(.*?)</source>|^\s*\[1\]\s*([^\n]+)', re.S | re.M)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n")
_TOKEN = re.compile(r"\s*\[\d+\]|\s*\w{1,8}|\s*[^\w\s]|\s+")
MAX_EMBEDDING_TOKENS = 8192


class Fault(Enum):
    """How a chat request goes wrong. Those marked (mid) strike after `Reply.after_tokens` tokens."""

    NONE = "none"
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    SERVER_ERROR = "server_error"  # 500
    KEY_REFUSED = "key_refused"  # 401; Google's protocol says it with a 400
    REFUSED = "refused"  # accepted, then closed without a byte
    SILENT_BEFORE_FIRST = "silent_before_first"  # headers, then nothing until the client leaves
    SILENT_BETWEEN = "silent_between"  # (mid) nothing more until the client leaves
    CUT = "cut"  # (mid) closed inside an HTTP chunk
    TRUNCATED_JSON = "truncated_json"  # (mid) an event of half a JSON, then a clean end
    STREAM_ERROR = "stream_error"  # (mid) an event that holds an error, then a clean end
    NO_DONE = "no_done"  # every token, then a clean end: no finish_reason, usage or [DONE]

    @property
    def is_mid_stream(self) -> bool:
        return self in (Fault.SILENT_BETWEEN, Fault.CUT, Fault.TRUNCATED_JSON, Fault.STREAM_ERROR)


def tiny_model(body: Mapping[str, Any]) -> str:
    """Answer from the last user message of a chat request, as a very small model would.

    Numbered sources in it (lines `[1] …` or blocks `<source number="1">…</source>`): the first
    sentence of source 1, then ` [1]`. None: its last line, which reads as a rewritten question.
    """
    asked = next((content_of(m) for m in reversed(body["messages"]) if m["role"] == "user"), "")
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


def content_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def error_body(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


SERVER_ERROR = error_body("The server had an error while processing your request.", "server_error")


def as_json(payload: object) -> bytes:
    # Raw UTF-8, as OpenAI sends it: escapes would hide a client that decodes byte by byte.
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _event(payload: object) -> bytes:
    return b"data: " + as_json(payload) + b"\n\n"


class Wire(NamedTuple):
    """An answer as bytes: what comes with the first token, one piece a token, what follows the last."""

    opening: list[bytes]
    tokens: list[bytes]
    ending: list[bytes]
    error: bytes


def _streamed(head: dict[str, Any], tokens: list[str], usage: dict[str, int] | None, finish: str) -> Wire:
    """`usage` None: not asked for. If it is, every event but its own carries it as null."""
    head = {**head, "object": "chat.completion.chunk"} | ({} if usage is None else {"usage": None})

    def event(finish_reason: str | None = None, **delta: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**head, "choices": [choice]})

    opening = [event(role="assistant", content="", refusal=None)]
    totals = [] if usage is None else [_event({**head, "choices": [], "usage": usage})]
    ending = [event(finish), *totals, b"data: [DONE]\n\n"]
    return Wire(opening, [event(content=token) for token in tokens], ending, _event(SERVER_ERROR))


def _whole(head: dict[str, Any], text: str, usage: dict[str, int], finish: str | None) -> Wire:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    return Wire([], [], [as_json(body)], as_json(SERVER_ERROR))


def openai_wire(body: dict[str, Any], reply: Reply, tokens: list[str]) -> Wire:
    """The answer on OpenAI's wire, streamed or whole."""
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body["model"]}
    asked, said = sum(len(split_tokens(content_of(m))) for m in body["messages"]), len(tokens)
    counted = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    usage = dict(reply.usage or counted)
    unfinished = reply.fault is Fault.NO_DONE
    if not body.get("stream"):
        return _whole(head, "".join(tokens), usage, None if unfinished else reply.finish_reason)
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    streamed = _streamed(head, tokens, usage if with_usage else None, reply.finish_reason)
    return streamed._replace(ending=[]) if unfinished else streamed


async def _until_client_leaves() -> None:
    await asyncio.Event().wait()  # ended by cancellation, when the connection is gone


Speak = Callable[[dict[str, Any], Reply, list[str]], Wire]
"""A protocol: how an answer to a body, in tokens, looks as bytes."""


async def answer(
    body: dict[str, Any], reply: Reply, connection: asyncio.Transport, speak: Speak = openai_wire
) -> AsyncGenerator[bytes, None]:
    """The bytes of a chat answer at its pace, up to its fault; `connection` is what some faults close."""
    tokens = split_tokens(reply.text(body) if callable(reply.text) else reply.text)
    wire = speak(body, reply, tokens)
    unseen = 0.0 if body.get("stream") else reply.interval * len(tokens)
    await asyncio.sleep(reply.first_token_delay + unseen)
    if reply.fault is Fault.SILENT_BEFORE_FIRST:
        await _until_client_leaves()
    for piece in wire.opening:
        yield piece
    strikes = reply.fault.is_mid_stream
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


def embeddings_body(body: dict[str, Any], dimensions: int) -> dict[str, Any]:
    """The answer to an embeddings request. Raises ValueError for a text longer than OpenAI's models take."""
    inputs = body["input"]
    if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)):
        inputs = [inputs]
    # A text may come as token ids: each id is then a word.
    texts = [text if isinstance(text, str) else " ".join(map(str, text)) for text in inputs]
    sizes = [len(split_tokens(text)) for text in texts]
    if max(sizes, default=0) > MAX_EMBEDDING_TOKENS:
        raise ValueError(f"This model's maximum context length is {MAX_EMBEDDING_TOKENS} tokens.")
    size = body.get("dimensions") or dimensions
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(embed(text, size), body)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": sum(sizes), "total_tokens": sum(sizes)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}
