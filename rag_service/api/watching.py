"""Streams, and answers that are waited for whole, end with the credential that they were begun with."""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from rag_service.api import sse
from rag_service.errors import Unauthenticated, Unavailable

T = TypeVar("T")

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


async def unless_invalid(
    answer: Coroutine[Any, Any, T], still_valid: StillValid, revoke: Callable[[], None]
) -> T:
    """An answer that is waited for; once its credential counts no more, `revoke` is called in its place.

    Raises:
        Unauthenticated: the credential counts no more.
        What `answer` raises.
    """
    answering, ended = asyncio.create_task(answer), asyncio.create_task(_until_invalid(still_valid))
    try:
        await asyncio.wait([answering, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            revoke()
            raise Unauthenticated(sse.REVOKED.detail, code=sse.REVOKED.code)
        return await answering
    finally:
        answering.cancel()
        ended.cancel()


async def _until_invalid(still_valid: StillValid) -> None:
    valid = True
    while valid:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(Unavailable):  # a database that is away says nothing of a credential
            valid = await still_valid()
