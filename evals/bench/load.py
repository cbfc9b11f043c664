"""The load generator, in a process of its own: opens streams, and notes when each piece of an answer comes.

`python -m evals.bench.load` reads an `Order` as JSON; it says `open` once every stream has begun, and after the window
prints what it saw in it. It parses nothing: a piece is told by a mark in the bytes.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Order:
    """POST `body` to `url` on `streams` connections, begun at `a_second`; then watch for `seconds`."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]
    mark: str
    streams: int
    a_second: float
    seconds: float


class _Stream(asyncio.Protocol):
    """One connection: the moments at which pieces came."""

    def __init__(self, order: Order, begun: Callable[[], None]) -> None:
        self._mark = order.mark.encode()
        self._request = _request(order)
        self._begun = begun
        self.status = 0
        self.moments: list[float] = []
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not self.status:
            self.status = int(data[9:12])
        count = data.count(self._mark)
        if count and not self.moments:
            self._begun()
        self.moments += [now] * count

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True


def _request(order: Order) -> bytes:
    address, body = urlsplit(order.url), json.dumps(order.body).encode()
    headers = {
        "Host": address.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **order.headers,
    }
    lines = [f"POST {address.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Seen:
    """Of the window: pieces, milliseconds between two of one stream, streams that had ended; refusals before it."""

    pieces: int = 0
    broken: int = 0
    came_again: int = 0
    gap_p50_ms: float = 0.0
    gap_p99_ms: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)


async def watch(order: Order) -> Seen:
    """Carry the order out."""
    loop = asyncio.get_running_loop()
    address = urlsplit(order.url)
    assert address.hostname and address.port
    host, port = address.hostname, address.port
    all_begun, begun = asyncio.Event(), 0

    def one_more() -> None:
        nonlocal begun
        begun += 1
        if begun == order.streams:
            all_begun.set()

    streams: list[_Stream] = []
    came_again = 0
    while len(streams) < order.streams:
        _, stream = await loop.create_connection(lambda: _Stream(order, one_more), host, port)
        streams.append(stream)
        await asyncio.sleep(1 / order.a_second)
        refused = [one for one in streams if one.status == 503]
        came_again += len(refused)
        for one in refused:  # as a good client does, though it does not keep count of the seconds
            streams.remove(one)
    try:
        async with asyncio.timeout(60):
            await all_begun.wait()
    except TimeoutError:
        statuses = Counter(stream.status for stream in streams)
        raise SystemExit(
            f"{begun} of {order.streams} streams have begun; their statuses: {dict(statuses)}"
        ) from None
    start = time.perf_counter()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.sleep(order.seconds)
    seen = _seen(streams, start, time.perf_counter())
    seen.came_again = came_again
    return seen


def _seen(streams: list[_Stream], start: float, end: float) -> Seen:
    gaps: list[float] = []
    seen = Seen()
    for stream in streams:
        moments = [moment for moment in stream.moments if start <= moment <= end]
        seen.pieces += len(moments)
        seen.broken += stream.ended
        status = str(stream.status)
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        gaps += [1000 * (later - earlier) for earlier, later in pairwise(moments)]
    gaps.sort()
    if gaps:
        seen.gap_p50_ms = round(gaps[len(gaps) // 2], 1)
        seen.gap_p99_ms = round(gaps[int(0.99 * len(gaps))], 1)
    return seen


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(watch(Order(**json.load(sys.stdin)))))))
