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
    number = 0
    try:
        # Looked at with each frame, of which a silent stream has one every `PING_SECONDS`: to wait for either would
        # make a task of every frame.
        async for frame in frames:
            if ended.done():
                yield revoke(number)
                return
            if found := _ID.findall(frame):
                number = int(found[-1])
            yield frame
    finally:
        ended.cancel()
        if close := getattr(frames, "aclose", None):
            await close()


async def _until_invalid(still_valid: StillValid) -> None:
    valid = True
    while valid:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(Unavailable):  # a database that is away says nothing of a credential
            valid = await still_valid()
