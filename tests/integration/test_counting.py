"""Counts in a real Redis, and what becomes of them when it is flushed, stopped, killed and started again."""

import logging
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from limits import RateLimitItemPerDay, RateLimitItemPerMinute

from rag_service.admission.counting import REDIS_SECONDS, Counters
from tests.integration.redis import LocalRedis

FIVE = RateLimitItemPerMinute(5, namespace="test")
BUDGET = RateLimitItemPerDay(100, namespace="tokens")


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[LocalRedis]:
    server = LocalRedis(tmp_path)
    await server.start()
    yield server
    server.client.close()
    await server.kill()


async def lefts(counters: Counters, times: int, key: str = "somebody") -> list[int | None]:
    """What is left after each request; None where it was refused."""
    taken = [await counters.take(FIVE, key) for _ in range(times)]
    return [one.left if one.allowed else None for one in taken]


async def test_processes_count_together_and_each_for_itself_while_redis_fails(
    redis: LocalRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="rag_service")
    first, second = Counters(redis.url, again_seconds=0.05), Counters(redis.url, again_seconds=0.05)
    assert await lefts(first, 3) == [4, 3, 2]
    assert await lefts(second, 3) == [1, 0, None]
    assert (await first.spend(BUDGET, "somebody", 99)).left == 1
    assert (await second.look(BUDGET, "somebody")).allowed
    await second.spend(BUDGET, "somebody", 500)  # known only afterwards: it may be more than was left
    assert not (await first.look(BUDGET, "somebody")).allowed

    redis.client.flushall()  # with the counts the scripts that count are gone too
    assert await lefts(first, 1) == [4]
    assert not caplog.records

    redis.signal(signal.SIGSTOP)
    before = time.monotonic()
    assert await lefts(first, 7) == [4, 3, 2, 1, 0, None, None]  # nobody is shut out, and nobody unlimited
    assert time.monotonic() - before < 7 * REDIS_SECONDS + 1
    redis.signal(signal.SIGCONT)
    await redis.kill()
    assert await lefts(second, 6) == [4, 3, 2, 1, 0, None]
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 2  # one a process

    await redis.start()
    caplog.clear()
    while not caplog.records:
        await first.take(FIVE, "another")
    assert "answers again" in caplog.text
    while await lefts(second, 1, "third") != [3]:  # until both count in the same place
        redis.client.flushall()
        await first.take(FIVE, "third")
    await first.close()
    await second.close()


async def test_without_redis_a_process_counts_for_itself() -> None:
    counters = Counters()
    assert await lefts(counters, 6) == [4, 3, 2, 1, 0, None]
    assert await lefts(counters, 1, "another") == [4]
    refused = await counters.take(FIVE, "somebody")
    assert 1 <= refused.seconds <= 60
