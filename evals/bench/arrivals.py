"""A crowd that asks, in a process of its own: at a given rate whatever becomes of it, or so many at a time.

`python -m evals.bench.arrivals` reads a `Crowd` as JSON, and prints what it saw. A turn is timed from the moment at
which it was to be asked, so that a crowd which is held up does not flatter the server. It parses nothing but the head:
the first word is told by a mark in the bytes.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from urllib.parse import urlsplit

from evals.bench.spread import spread

MARK = b"event: delta"
END = b"0\r\n\r\n"
PROBE_SECONDS = 0.05
PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Crowd:
    """POSTs `bodies` to `url`, one after the other and from the start again, for `seconds`.

    Either at `a_second`, or `waiting` at a time: as one gets its first word, the next is asked; one who is refused asks
    again when the server said.
    """

    url: str
    health: str
    headers: dict[str, str]
    bodies: list[str]
    seconds: float
    a_second: float = 0.0
    waiting: int = 0


@dataclass
class Seen:
    """Milliseconds to the first word of those let in, to the whole answer of those refused, and of health checks."""

    asked: int = 0
    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    """How late the crowd itself was to ask."""
    without_retry_after: int = 0
    other: dict[str, int] = field(default_factory=dict)
    connections: int = 0


class _Connection(asyncio.Protocol):
    """Asks one thing at a time; behind the end of its answer it is one of the `free`."""

    def __init__(self, free: "list[_Connection]") -> None:
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, due: float, answered: Callable[[float, bytes], None]) -> None:
        self._due, self._answered = due, answered
        self._seen, self._has_word, self._is_open = b"", False, True
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        is_stream = self._seen.startswith(b"HTTP/1.1 200") and b"text/event-stream" in self._seen
        if is_stream and not self._has_word and MARK in self._seen:
            self._tell()
        if self._seen.endswith(END) if is_stream else _is_whole(self._seen):
            self._tell()
            self._is_open = False
            self._free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._free:
            self._free.remove(self)
        if self._is_open:
            self._tell()

    def _tell(self) -> None:
        if not self._has_word:
            self._has_word = True
            self._answered(1000 * (time.perf_counter() - self._due), self._seen)


def _is_whole(answer: bytes) -> bool:
    head, gap, body = answer.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length: ")
    return bool(gap) and len(body) >= int(length.split(b"\r\n")[0] or 0)


def _patience(answer: bytes) -> int:
    """The seconds after which one who was answered so asks again."""
    _, _, seconds = answer.lower().partition(b"\r\nretry-after: ")
    return int(seconds.split(b"\r\n")[0] or 0)


class _Asking:
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        address = urlsplit(crowd.url)
        self._requests = cycle([_request("POST", crowd.url, crowd.headers, body) for body in crowd.bodies])
        self._under_way: set[asyncio.Task[None]] = set()
        self._free: list[_Connection] = []
        assert address.hostname and address.port
        self._place = address.hostname, address.port
        self.seen = Seen()
        self._waiting = 0

    async def run(self) -> Seen:
        self._end = time.perf_counter() + self._crowd.seconds
        health = asyncio.create_task(self._probe())
        if self._crowd.a_second:
            await self._at_a_rate()
        else:
            for _ in range(self._crowd.waiting):
                self._ask(time.perf_counter(), again=True)
            await asyncio.sleep(self._crowd.seconds)
        await health
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._waiting:  # noqa: ASYNC110 - nothing is timed any more
                await asyncio.sleep(0.05)
        return self.seen

    async def _at_a_rate(self) -> None:
        due = time.perf_counter()
        while due < self._end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.seen.late.append(1000 * (time.perf_counter() - due))
            self._ask(due)
            due += 1 / self._crowd.a_second

    def _ask(self, due: float, *, again: bool = False) -> None:
        self.seen.asked += 1
        self._waiting += 1

        def answered(took: float, answer: bytes) -> None:
            self._waiting -= 1
            self._count(took, answer)
            if again:
                asyncio.get_running_loop().call_later(_patience(answer), self._ask_again)

        task = asyncio.create_task(self._send(next(self._requests), due, answered))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _ask_again(self) -> None:
        if time.perf_counter() < self._end:
            self._ask(time.perf_counter(), again=True)

    async def _send(self, request: bytes, due: float, answered: Callable[[float, bytes], None]) -> None:
        connection = self._free.pop() if self._free else await self._connect(self._free)
        connection.ask(request, due, answered)

    async def _connect(self, free: list[_Connection]) -> _Connection:
        self.seen.connections += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(free), *self._place)
        return connection

    def _count(self, took: float, answer: bytes) -> None:
        status = answer[9:12].decode()
        if status == "200" and MARK in answer:
            self.seen.admitted.append(took)
        elif status == "503":
            self.seen.refused.append(took)
            self.seen.without_retry_after += b"\r\nretry-after: " not in answer.lower()
        else:
            status = "cut" if status in ("", "200") else status
            self.seen.other[status] = self.seen.other.get(status, 0) + 1

    async def _probe(self) -> None:
        connection = await self._connect([])
        request = _request("GET", self._crowd.health, {}, "")
        while time.perf_counter() < self._end:
            answered: asyncio.Future[tuple[float, bytes]] = asyncio.get_running_loop().create_future()
            connection.ask(request, time.perf_counter(), partial(_put, answered))
            took, answer = await answered
            assert answer[9:12] == b"200", answer
            self.seen.health.append(took)
            await asyncio.sleep(PROBE_SECONDS)


def _put(answered: "asyncio.Future[tuple[float, bytes]]", took: float, answer: bytes) -> None:
    answered.set_result((took, answer))


def _request(method: str, url: str, headers: dict[str, str], body: str) -> bytes:
    address, content = urlsplit(url), body.encode()
    told = {"Host": address.netloc, **headers}
    if body:
        told |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines = [f"{method} {address.path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def main() -> None:
    seen = asyncio.run(_Asking(Crowd(**json.load(sys.stdin))).run())
    values = asdict(seen)
    values["count"] = {name: len(values[name]) for name in ("admitted", "refused", "health")}
    for name in ("admitted", "refused", "health", "late"):
        values[name] = spread(values[name]) if values[name] else {}
    print(json.dumps(values))


if __name__ == "__main__":
    main()
