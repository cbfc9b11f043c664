"""What a client of the API sees, read strictly: frames, turns, problems."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

TERMINAL = {"done", "error"}
TURN_SECONDS = 15
"""How long a turn may take. A stream that never ends still pings: no read would ever time out."""


@dataclass(frozen=True)
class Frame:
    """One server-sent event."""

    name: str
    id: int
    data: Any


def frame_of(block: str) -> Frame:
    """A frame from its lines: event, data and id, each once."""
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    assert set(fields) == {"event", "data", "id"}, block
    return Frame(fields["event"], int(fields["id"]), json.loads(fields["data"]))


def frames_of(body: str) -> list[Frame]:
    """All frames of a stream that ended; comments are left out."""
    assert body.endswith("\n\n")
    return [frame_of(block) for block in body[:-2].split("\n\n") if not block.startswith(":")]


async def live_frames(response: httpx.Response) -> AsyncGenerator[Frame, None]:
    """The frames of a stream under way."""
    held = ""
    async for text in response.aiter_text():
        held += text
        while "\n\n" in held:
            block, held = held.split("\n\n", 1)
            if not block.startswith(":"):
                yield frame_of(block)


@dataclass(frozen=True)
class Turn:
    """A streamed turn whose frames keep the protocol."""

    frames: list[Frame]

    @property
    def start(self) -> dict[str, Any]:
        return dict(self.frames[0].data)

    @property
    def sources(self) -> list[dict[str, Any]]:
        return next((list(frame.data["sources"]) for frame in self.frames if frame.name == "sources"), [])

    @property
    def deltas(self) -> list[str]:
        return [frame.data["text"] for frame in self.frames if frame.name == "delta"]

    @property
    def text(self) -> str:
        return "".join(self.deltas)

    @property
    def citations(self) -> list[dict[str, Any]]:
        return [frame.data for frame in self.frames if frame.name == "citation"]

    @property
    def end(self) -> Frame:
        return self.frames[-1]


def turn_of(frames: list[Frame]) -> Turn:
    """The turn that these frames tell. Every promise of the protocol is checked."""
    names = [frame.name for frame in frames]
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
    assert names[0] == "start" and names.count("start") == 1
    assert names[-1] in TERMINAL and len(TERMINAL & {*names[:-1]}) == 0, names
    if names[1] == "sources":
        behind = names[3:-1] if names[2] == "trace" else names[2:-1]
        assert set(behind) <= {"delta", "citation"}
    else:
        assert names[1:] == ["error"]
    turn = Turn(frames)
    said = ""
    for frame in frames:
        if frame.name == "delta":
            assert frame.data["text"]
            said += frame.data["text"]
        if frame.name == "citation":
            check_citation(frame.data, turn.sources, said)
    return turn


async def stream(http: httpx.AsyncClient, message: str, **body: Any) -> Turn:
    """Ask, and read the stream to its end."""
    async with asyncio.timeout(TURN_SECONDS):
        answer = await http.post("/api/v1/chat", json={"message": message, **body})
    assert answer.status_code == 200, answer.text
    return turn_of(frames_of(answer.text))


async def whole(http: httpx.AsyncClient, message: str, **body: Any) -> dict[str, Any]:
    """Ask for one JSON."""
    answer = await http.post("/api/v1/chat", json={"message": message, "stream": False, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    for citation in found["citations"]:
        check_citation(citation, found["sources"], found["answer"])
    return found


def check_citation(citation: dict[str, Any], sources: list[dict[str, Any]], answer: str) -> None:
    """The number was among the sources, the quote is verbatim, and the claim stands right before its mark."""
    source = next(source for source in sources if source["number"] == citation["number"])
    start, end = citation["source_span"]
    assert citation["quote"] and source["text"][start:end] == citation["quote"]
    for key in ("document_id", "chunk_id", "page"):
        assert citation[key] == source[key]
    start, end = citation["answer_span"]
    claim, behind = answer[start:end], answer[end:]
    assert claim and claim == claim.strip()
    marks = re.match(r"\s*((?:\[\d+\])+)", behind)
    assert marks and f"[{citation['number']}]" in marks[1], (claim, behind)


async def messages(http: httpx.AsyncClient, conversation_id: str) -> list[dict[str, Any]]:
    """What is stored of a conversation."""
    answer = await http.get(f"/api/v1/conversations/{conversation_id}/messages")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def stored(http: httpx.AsyncClient, start: dict[str, Any]) -> dict[str, Any]:
    """The stored answer of a turn, given its `start` or its whole answer."""
    found = await messages(http, start["conversation_id"])
    return next(message for message in found if message["id"] == start["message_id"])


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """An RFC 9457 problem with a code, a sentence and the request's id."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 5) -> None:
    """Return once `true()` says so; `TimeoutError` after `seconds`."""
    async with asyncio.timeout(seconds):
        # Polled: what happens in the server tells nobody.
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
