"""A turn read over as many connections as it takes: it belongs to the server, and goes on while one is lost."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from rag_service.errors import NotFound, RagError, Unavailable, kind_of

PAUSES = (0.3, 0.6, 1.2, 2.4, 4.8, 8.0, 8.0, 8.0)
"""Seconds before each new try, about; in all as long as a server keeps a turn that nobody follows."""
REPEATS_OF_A_QUESTION = 3
"""How often a question is sent again that found no server; nothing of an answer is there to be lost."""


class Unreachable(Unavailable):
    """There is no server, or the connection to it broke."""


@dataclass(frozen=True)
class Place:
    """Where in a turn to go on: behind the event numbered `after`."""

    run_id: str
    after: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Last-Event-ID": str(self.after)}


Connect = Callable[[Place | None], AbstractAsyncContextManager[httpx.Response]]
"""A stream of events from a place on; None asks the question, which may be sent again safely."""


async def follow_turn(
    connect: Connect, lost: Callable[[], None]
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events of a turn as (name, data), each once, up to the terminal one. `lost` hears of each lost connection.

    Raises:
        Unreachable: the server is not there, or has not come back.
        RagError: what the server has against it.
    """
    place: Place | None = None
    run_id, after, failures = "", 0, 0
    while True:
        failure: RagError = Unreachable("The connection was lost before the answer began. Ask again.")
        try:
            async with connect(place) as response:
                async for number, name, data in _events(response):
                    if number <= after:
                        continue  # told before
                    if name == "start":
                        run_id = data["run_id"]
                    after, failures = number, 0
                    place = Place(run_id, after)
                    yield name, data
                    if name in ("done", "error"):
                        return
        except RagError as error:
            failure = error
        allowed = len(PAUSES) if place else REPEATS_OF_A_QUESTION
        if failures == allowed or not _may_pass(failure, begun=place is not None):
            raise _as_cut(failure) if place else failure
        lost()
        await asyncio.sleep(PAUSES[failures] * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
        failures += 1


def _may_pass(failure: RagError, *, begun: bool) -> bool:
    """Whether another try is worth it: without a server always; what one answers only where a turn is under way."""
    kind = kind_of(failure.code)
    return isinstance(failure, Unreachable) or (begun and kind is not None and kind.retryable)


def _as_cut(failure: RagError) -> RagError:
    if isinstance(failure, Unreachable) or failure.code == NotFound.code:
        return Unreachable("The connection was lost before the answer was complete. Ask again.")
    return failure


async def _events(response: httpx.Response) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
    """(number, name, data) of each whole event; one that was cut in two is none."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            yield int(fields.get("id", "0")), fields.get("event", ""), json.loads(fields["data"])
        fields = {}
