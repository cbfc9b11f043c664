"""Streams end with the credential that they were begun with."""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from rag_service.api import sse
from rag_service.errors import Unavailable

LOOK_SECONDS = 5.0
"""How often it is looked whether a stream's credential still counts."""

StillValid = Callable[[], Awaitable[bool]]

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)


async def while_valid(
    frames: AsyncIterable[Any], still_valid: StillValid, revoke: Callable[[int], bytes] = sse.revoked
) -> AsyncIterator[Any]:
    """The frames of a stream; once its credential counts no more, what `revoke` gives in the place of those to come.

    That is given the number of the last one: who takes the stream up with a credential that counts misses nothing.
    """
    ended = asyncio.create_task(_until_invalid(still_valid))
    upcoming: asyncio.Future[Any] | None = None
    reading = aiter(frames)
    number = 0
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(reading))
            await asyncio.wait([upcoming, ended], return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                yield revoke(number)
                return
            try:
                frame = upcoming.result()
            except StopAsyncIteration:
                return
            if found := _ID.findall(frame):
                number = int(found[-1])
            yield frame
    finally:
        left = [task for task in (ended, upcoming) if task is not None and not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        if close := getattr(reading, "aclose", None):
            await close()


async def _until_invalid(still_valid: StillValid) -> None:
    valid = True
    while valid:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(Unavailable):  # a database that is away says nothing of a credential
            valid = await still_valid()
