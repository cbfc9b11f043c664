"""What is looked at between two rounds of the soak: every turn, and what the api holds at rest."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import httpx
import psutil
from sqlalchemy import select, text

from evals.bench.soak_clients import Asked, Soaked, frames
from rag_service.db.engine import Database
from rag_service.db.models import Message
from rag_service.testing.model_server import ModelServer

SETTLE_SECONDS = 60.0
REST_SECONDS = 30.0
"""How long idle connections may take to be closed: those to the model are kept for a few seconds."""
AT_ONCE = 8
MOST_TOLD = 20

_CONNECTIONS = (
    "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name IN ('rag-api', 'rag-listener') GROUP BY 1"
)


@dataclass(frozen=True)
class Gauge:
    """What an api holds: connections to PostgreSQL by application, open files, resident memory."""

    connections: dict[str, int]
    files: int
    memory_mb: float

    @classmethod
    async def at_rest(cls, api: psutil.Process, database: Database, baseline: "Gauge | None") -> Self:
        """Taken as soon as nothing is above the baseline, or is still above it when it should be at rest."""
        deadline = time.monotonic() + REST_SECONDS
        while True:
            async with database.reading() as session:
                connections = {
                    str(name): int(count) for name, count in await session.execute(text(_CONNECTIONS))
                }
            gauge = cls(connections, api.num_fds(), api.memory_info().rss / 2**20)
            is_over = time.monotonic() > deadline
            if is_over or (baseline is not None and not gauge.above(baseline, memory_mb=float("inf"))):
                return gauge
            await asyncio.sleep(1)

    def above(self, baseline: "Gauge", *, memory_mb: float) -> list[str]:
        """What is more than it was, in words; of memory what is more by so much."""
        wrong = [
            f"{count} connections of {name} to PostgreSQL, up from {baseline.connections.get(name, 0)}"
            for name, count in self.connections.items()
            if count > baseline.connections.get(name, 0)
        ]
        if self.files > baseline.files:
            wrong.append(f"{self.files} open files, up from {baseline.files}")
        if self.memory_mb > baseline.memory_mb + memory_mb:
            wrong.append(f"{self.memory_mb:.0f} MB of memory, up from {baseline.memory_mb:.0f}")
        return wrong


async def settled(database: Database, model: ModelServer) -> list[str]:
    """Wait until no turn is under way; what still is after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        async with database.reading() as session:
            streaming = list(await session.scalars(select(Message.id).where(Message.state == "streaming")))
        if not streaming and not model.open_streams:
            return []
        if time.monotonic() > deadline:
            return [f"still streaming: {streaming}; {model.open_streams} streams of the model are open"]
        await asyncio.sleep(0.5)


async def wrong_turns(http: httpx.AsyncClient, database: Database, soaked: Soaked) -> list[str]:
    """What is wrong with the turns of a round: at most `MOST_TOLD` lines."""
    bound = asyncio.Semaphore(AT_ONCE)

    async def look(run_id: str, asked: Asked) -> str | None:
        async with bound:
            async with http.stream("GET", f"/api/v1/chat/{run_id}/events") as answer:
                told = [frame async for frame in frames(answer)]
            async with database.reading() as session:
                stored = await session.get(Message, UUID(asked.start["message_id"]))
        if stored is None:
            return f"{run_id}: no answer is stored"
        soaked.ends[stored.state] += 1
        fault = _fault(asked, told, stored)
        return f"{run_id} ({stored.state}): {fault}" if fault else None

    found = await asyncio.gather(*(look(*turn) for turn in soaked.turns.items()))
    return [one for one in found if one][:MOST_TOLD]


def _fault(asked: Asked, told: list[tuple[int, str, dict[str, object]]], stored: Message) -> str | None:
    names = Counter(name for _, name, _ in told)
    if names["done"] + names["error"] != 1 or told[-1][1] not in ("done", "error"):
        return f"told again it ends {names['done'] + names['error']} times, and last comes {told[-1][1]}"
    numbers = [number for number, _, _ in told]
    if numbers != list(range(1, len(numbers) + 1)):
        return "told again its events have gaps"
    if told[: len(asked.seen)] != asked.seen:
        return "told again it is another than its reader saw"
    text = "".join(str(data["text"]) for _, name, data in told if name == "delta")
    if text != stored.content:
        return f"{len(text)} characters were told and {len(stored.content)} stored"
    end = told[-1][2].get("finish_reason") if names["done"] else "failed"
    expected = {"complete": "stop", "stopped": "stopped"}.get(stored.state, "failed")
    if end != expected:
        return f"its stream ended as {end}"
    if stored.state == "complete" and text != asked.whole:
        return f"{len(text)} of {len(asked.whole)} characters are called complete"
    if not asked.whole.startswith(text):
        return "it says what the model did not say"
    if stored.state == "failed":
        return f"it failed: {stored.error_code}"
    return None
