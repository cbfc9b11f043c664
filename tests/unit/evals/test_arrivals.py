"""The crowd that asks while overload is measured, against a server that takes so many at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from evals.bench.overload import _seen

ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 2\r\n\r\n{}"
WORD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"14\r\nevent: delta\ndata: 1\r\n0\r\n\r\n"
)


@asynccontextmanager
async def taking(most: int) -> AsyncIterator[str]:
    """The address of a server that answers so many questions, and refuses those behind them."""
    left, answering = most, set[asyncio.Task[None] | None]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        answering.add(asyncio.current_task())
        while line := await reader.readline():
            head = await reader.readuntil(b"\r\n\r\n")
            if line.startswith(b"POST"):
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
                left -= 1
                writer.write(WORD if left >= 0 else REFUSED)
            else:
                writer.write(ALIVE)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*filter(None, answering))


async def test_who_is_answered_asks_the_next_and_who_is_refused_waits_as_long_as_the_server_said() -> None:
    async with taking(20) as url:
        crowd = {"url": f"{url}/chat", "health": f"{url}/health", "headers": {}, "bodies": ["{}"]}
        seen = await asyncio.to_thread(_seen, {**crowd, "seconds": 1, "waiting": 4})
    assert (seen["count"]["admitted"], seen["count"]["refused"], seen["asked"]) == (20, 4, 24)
    assert (seen["other"], seen["without_retry_after"]) == ({}, 0)
    assert seen["count"]["health"]
