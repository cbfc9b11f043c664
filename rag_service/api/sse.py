"""Server-sent events: frames of JSON with an id each, and a ping while nothing happens."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Message, Receive, Scope, Send

from rag_service.api.serving import CONNECTION
from rag_service.chat.events import Failed, data_of
from rag_service.chat.runs import Run

logger = logging.getLogger(__name__)

T = TypeVar("T")

PING_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

# Line breaks to Unicode though not to SSE: readers that cut a stream with `str.splitlines` (httpx does) would
# find half a frame. Inside JSON an escape means the same.
_LINE_BREAKS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def frame(name: str, number: int, data: dict[str, Any]) -> bytes:
    """One event. `name` and `number` are ours; whatever a user or a document says is inside the JSON."""
    return format_sse_event(event=name, id=str(number), data_str=encoded(data))


def encoded(data: dict[str, Any]) -> str:
    """JSON that stays within one line of a stream."""
    return _encode(data).translate(_LINE_BREAKS)


REVOKED = Failed(
    "credential_revoked",
    "The key or the chat that this answer was asked with was revoked, or has ended.",
    retryable=False,
)


def revoked(number: int) -> bytes:
    """The end of a stream whose credential counts no more."""
    return frame(REVOKED.name, number, data_of(REVOKED))


class TurnStream(EventSourceResponse):
    """A turn's events behind the one numbered `after`.

    A reader who leaves is not followed by the turn: it goes on, for others or for the same one to come back. One who
    stops reading is cut off after `send_seconds`, as what waits to be sent would be kept for ever.
    """

    def __init__(
        self,
        run: Run,
        *,
        after: int = 0,
        send_seconds: float,
        frames: AsyncIterator[bytes] | None = None,
    ) -> None:
        super().__init__(frames or _turn_frames(run, after), headers=HEADERS)
        self._run = run
        self._send_seconds = send_seconds

    def revoke(self, number: int) -> bytes:
        """End the turn, as far as it is made here, since whoever asked may not be told any more; the frame that says
        so."""
        self._run.stop()
        return revoked(number)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._send_seconds):
                    await send(message)
            except TimeoutError:
                raise _Stalled from None

        with self._run.followed():
            try:
                await super().__call__(scope, receive, send_in_time)
            except _Stalled:
                await _cut(scope)


class _Stalled(Exception):
    """The reader takes nothing more."""


async def _cut(scope: Scope) -> None:
    """Close the connection with all that waits in it."""
    logger.info("a reader who stopped reading was cut off")
    connection = scope.get("state", {}).get(CONNECTION)
    if connection is not None:
        connection.abort()
        await asyncio.sleep(0)  # its end is noticed in the loop's next round


async def _turn_frames(run: Run, after: int) -> AsyncIterator[bytes]:
    async with aclosing(run.batches(after, idle=PING_SECONDS)) as batches:
        async for batch in batches:
            # A process that is behind sends together what it has.
            frames = [frame(event.name, number, data_of(event)) for number, event in batch]
            yield b"".join(frames) or KEEPALIVE_COMMENT


async def with_pings(items: AsyncIterator[T]) -> AsyncGenerator[T | None, None]:
    """The items, and None whenever none came for `PING_SECONDS`."""
    upcoming: asyncio.Task[T] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait([upcoming], timeout=PING_SECONDS)
            if not done:
                yield None
                continue
            finished, upcoming = upcoming, None
            try:
                yield finished.result()
            except StopAsyncIteration:
                return
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.wait([upcoming])


def stream(frames: AsyncIterator[bytes]) -> EventSourceResponse:
    """A response of frames that no proxy buffers and no cache keeps."""
    return EventSourceResponse(frames, headers=HEADERS)
