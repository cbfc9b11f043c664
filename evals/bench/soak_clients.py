"""The clients of the soak: each does one thing after another that a client may do to a stream."""

import asyncio
import json
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from evals.bench.stack import Running

CLIENTS = 24
VAST_SHARE = 0.1
"""Of those who stall, how many had asked for an answer that fills all buffers on its way: 4 MB."""
RECEIVE_BYTES = 16_384
STALL_SECONDS = 5.0
_RESET = struct.pack("ii", 1, 0)
_SIZE = re.compile(r"in (\d+) (vast )?words")


def answer_to(body: dict[str, Any]) -> str:
    """What the model says to a chat request; from the question alone, so that an answer can be checked."""
    asked = _SIZE.findall(str(body["messages"][-1]["content"]))
    return said(int(asked[-1][0]), bool(asked[-1][1])) if asked else "How the work goes on"


def said(words: int, vast: bool) -> str:
    gap = " " * (8_000 if vast else 1)
    return "As it is written there [1]:" + gap + gap.join(f"word{number}" for number in range(words)) + "."


@dataclass
class Soaked:
    """What the clients of a round did. `turns` are those that began: what was told of each, and what its whole answer
    would be."""

    seconds: float
    turns: dict[str, "Asked"] = field(default_factory=dict)
    acts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    refused: int = 0


@dataclass
class Asked:
    start: dict[str, Any]
    whole: str
    seen: list[tuple[int, str, Any]] = field(default_factory=list)


def client_of(server: Running) -> httpx.AsyncClient:
    """With buffers so small that a reader who stops is felt by the server."""
    small = httpx.AsyncHTTPTransport(
        limits=httpx.Limits(max_connections=None),
        socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)],
    )
    return httpx.AsyncClient(
        base_url=server.url, headers=dict(server.http.headers), timeout=120, transport=small
    )


async def keeps_asking(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    """One client, until the time is up."""
    deadline = time.monotonic() + soaked.seconds
    while time.monotonic() < deadline:
        act = chance.choices(list(_ACTS), weights=list(_ACTS.values()))[0]
        try:
            await act(http, soaked, chance)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 503:
                raise
            soaked.refused += 1
            await asyncio.sleep(chance.uniform(0.5, 1.5))
        else:
            soaked.acts[act.__name__.strip("_")] += 1


def _question(chance: random.Random, vast: bool = False) -> tuple[str, str]:
    """A question, and the answer to it."""
    words = 550 if vast else chance.randint(1, 150)
    return f"How does the work go on, in {words} {'vast ' if vast else ''}words?", said(words, vast)


async def frames(answer: httpx.Response) -> AsyncGenerator[tuple[int, str, Any], None]:
    """The frames of a stream: number, name, data."""
    if answer.status_code >= 400:
        await answer.aread()
        answer.raise_for_status()
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}


async def _stream(
    http: httpx.AsyncClient,
    soaked: Soaked,
    question: tuple[str, str],
    until: Callable[[Asked, httpx.Response], Awaitable[bool]],
) -> Asked | None:
    """Ask, and read until the stream ends or `until` says so behind a frame."""
    asked = None
    async with (
        http.stream("POST", "/api/v1/chat", json={"message": question[0]}) as answer,
        aclosing(frames(answer)) as read,
    ):
        async for frame in read:
            if asked is None:
                asked = soaked.turns[frame[2]["run_id"]] = Asked(frame[2], question[1])
            asked.seen.append(frame)
            if await until(asked, answer):
                return asked
    return asked


async def _to_the_end(asked: Asked, answer: httpx.Response) -> bool:
    return False


def _after(count: int) -> Callable[[Asked, httpx.Response], Awaitable[bool]]:
    async def is_enough(asked: Asked, answer: httpx.Response) -> bool:
        return len(asked.seen) >= count

    return is_enough


async def _reads(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    await _stream(http, soaked, _question(chance), _to_the_end)


async def _leaves(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    await _stream(http, soaked, _question(chance), _after(chance.randint(1, 60)))


async def _resets(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    count = chance.randint(1, 60)

    async def reset(asked: Asked, answer: httpx.Response) -> bool:
        if len(asked.seen) < count:
            return False
        wire = answer.extensions["network_stream"].get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return True

    await _stream(http, soaked, _question(chance), reset)


async def _stalls(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    """Stop reading; be cut off, or not; and come back for the rest, if there is one still."""
    count = chance.randint(3, 20)

    async def stall(asked: Asked, answer: httpx.Response) -> bool:
        if len(asked.seen) == count:
            await asyncio.sleep(chance.uniform(0.5, 1) * STALL_SECONDS)
        return False

    try:
        await _stream(http, soaked, _question(chance, vast=chance.random() < VAST_SHARE), stall)
    except httpx.TransportError:
        return  # cut off, as it has to be


async def _comes_back(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    asked = await _stream(http, soaked, _question(chance), _after(chance.randint(1, 60)))
    assert asked is not None
    await asyncio.sleep(chance.uniform(0, 1.5))
    after = {"Last-Event-ID": str(asked.seen[-1][0])}
    path = f"/api/v1/chat/{asked.start['run_id']}/events"
    async with (
        http.stream("GET", path, headers=after) as answer,
        aclosing(frames(answer)) as rest,
    ):
        asked.seen += [frame async for frame in rest]
    numbers = [number for number, _, _ in asked.seen]
    assert numbers == list(range(1, len(numbers) + 1)), f"{asked.start}: {numbers}"


async def _stops(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    count = chance.randint(1, 40)

    async def stop(asked: Asked, answer: httpx.Response) -> bool:
        if len(asked.seen) == count:
            stopped = await http.post(f"/api/v1/chat/{asked.start['run_id']}/stop")
            assert stopped.status_code in (204, 404), stopped.text
        return False

    await _stream(http, soaked, _question(chance), stop)


async def _wants_it_whole(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    question, whole = _question(chance)
    answer = await http.post("/api/v1/chat", json={"message": question, "stream": False})
    assert answer.raise_for_status().json()["answer"] == whole


async def _repeats(http: httpx.AsyncClient, soaked: Soaked, chance: random.Random) -> None:
    question, _ = _question(chance)
    key = {"Idempotency-Key": uuid4().hex}

    async def ask() -> tuple[str, str]:
        body = {"message": question, "stream": False}
        got = (await http.post("/api/v1/chat", json=body, headers=key)).raise_for_status().json()
        return got["message_id"], got["answer"]

    got = await asyncio.gather(*(ask() for _ in range(3)), return_exceptions=True)
    for failure in [one for one in got if isinstance(one, BaseException)]:
        raise failure
    assert len(set(got)) == 1, got


Act = Callable[[httpx.AsyncClient, Soaked, random.Random], Awaitable[None]]

_ACTS: dict[Act, float] = {
    _reads: 3,
    _leaves: 3,
    _resets: 3,
    _stalls: 1,
    _comes_back: 3,
    _stops: 2,
    _wants_it_whole: 1,
    _repeats: 1,
}
"""What a client does, and how often."""
