"""Server-sent events: frames of JSON with an id each, and a ping while nothing happens."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from rag_service.chat.events import Delta, Event
from rag_service.chat.service import Run

T = TypeVar("T")

PING_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

# Line breaks to Unicode though not to SSE: readers that cut a stream with `str.splitlines` (httpx does) would
# find half a frame. Inside JSON an escape means the same.
_LINE_BREAKS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def frame(name: str, number: int, data: dict[str, Any]) -> bytes:
    """One event. `name` and `number` are ours; whatever a user or a document says is inside the JSON."""
    text = _encode(data).translate(_LINE_BREAKS)
    return format_sse_event(event=name, id=str(number), data_str=text)


def event_data(event: Event) -> dict[str, Any]:
    """An event as JSON's types."""
    # Of a delta there is one a token, and nothing in it to be looked through.
    return {"text": event.text} if isinstance(event, Delta) else asdict(event)


class TurnStream(EventSourceResponse):
    """A turn's events. When the reader leaves before the end, be it before the first of them, the turn is stopped."""

    def __init__(self, run: Run) -> None:
        super().__init__(_turn_frames(run), headers=HEADERS)
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._run.stop()


async def _turn_frames(run: Run) -> AsyncIterator[bytes]:
    async with aclosing(run.follow()) as events, aclosing(_with_pings(events)) as frames:
        async for item in frames:
            if item is None:
                yield KEEPALIVE_COMMENT
            else:
                number, event = item
                yield frame(event.name, number, event_data(event))


async def _with_pings(items: AsyncIterator[T]) -> AsyncGenerator[T | None, None]:
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
