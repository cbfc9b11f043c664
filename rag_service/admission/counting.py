"""Counts over a window of time: in Redis, where every api process adds to the same ones, or in this process.

While Redis fails, each process counts for itself: nobody is shut out, and nobody is let through without a limit. It is
asked again every few seconds, and what it counted before stands where it did not forget it.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

REDIS_SECONDS = 0.25
"""How long Redis may take to answer: no request is to wait for a limiter."""
AGAIN_SECONDS = 5.0
"""How long Redis is left alone once it has failed."""


@dataclass(frozen=True)
class Standing:
    """How a count stands against its limit: what is left of it, and in how many seconds there is more."""

    limit: int
    window: int
    left: int
    seconds: int
    allowed: bool = True


Ask = Callable[["_Strategies"], Awaitable[Standing]]


@dataclass(frozen=True)
class _Strategies:
    rate: RateLimiter
    """A sliding window: twice the limit does not fit around the turn of a minute."""
    budget: RateLimiter
    """A window that begins with the first count: what was used is known afterwards, and may be more than was left."""


def _strategies(storage: MemoryStorage | RedisStorage) -> _Strategies:
    return _Strategies(SlidingWindowCounterRateLimiter(storage), FixedWindowRateLimiter(storage))


class Counters:
    """Counts by key. `redis_url` may hold a password: it goes into no log."""

    def __init__(self, redis_url: str | None = None, *, again_seconds: float = AGAIN_SECONDS) -> None:
        self._memory = _strategies(MemoryStorage())
        self._redis: _Strategies | None = None
        self._redis_storage: RedisStorage | None = None
        self._again_seconds = again_seconds
        self._ask_again_at = 0.0
        self._is_failing = False
        if redis_url is not None:
            self._redis_storage = RedisStorage(
                redis_url,
                implementation="redispy",
                key_prefix="rag-limits",
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
                retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # passed on to the client
            )
            self._redis = _strategies(self._redis_storage)

    async def take(self, limit: RateLimitItem, key: str) -> Standing:
        """Count one against a rate, unless it is used up."""

        async def ask(strategies: _Strategies) -> Standing:
            allowed = await strategies.rate.hit(limit, key)
            return await _standing(strategies.rate, limit, key, allowed)

        return await self._asked(ask)

    async def look(self, limit: RateLimitItem, key: str) -> Standing:
        """How a budget stands."""

        async def ask(strategies: _Strategies) -> Standing:
            return await _standing(strategies.budget, limit, key, await strategies.budget.test(limit, key))

        return await self._asked(ask)

    async def spend(self, limit: RateLimitItem, key: str, amount: int) -> Standing:
        """Count `amount` against a budget, be it more than is left."""

        async def ask(strategies: _Strategies) -> Standing:
            allowed = await strategies.budget.hit(limit, key, cost=amount)
            return await _standing(strategies.budget, limit, key, allowed)

        return await self._asked(ask)

    async def _asked(self, ask: Ask) -> Standing:
        if self._redis is None or time.monotonic() < self._ask_again_at:
            return await ask(self._memory)
        if self._is_failing:  # one request finds out whether it is back; those beside it do not wait
            self._ask_again_at = time.monotonic() + self._again_seconds
        try:
            standing = await ask(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._ask_again_at = time.monotonic() + self._again_seconds
            if not self._is_failing:
                logger.warning(
                    "Redis does not answer: limits are counted in this process alone until it does",
                    extra={"error": type(error).__name__},
                )
            self._is_failing = True
            return await ask(self._memory)
        if self._is_failing:
            logger.info("Redis answers again: limits are counted there")
        self._is_failing, self._ask_again_at = False, 0.0
        return standing

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis_storage is not None:
            await self._redis_storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]


async def _standing(strategy: RateLimiter, limit: RateLimitItem, key: str, allowed: bool) -> Standing:
    stats = await strategy.get_window_stats(limit, key)
    seconds = max(1, min(limit.get_expiry(), math.ceil(stats.reset_time - time.time())))
    return Standing(limit.amount, limit.get_expiry(), max(0, int(stats.remaining)), seconds, allowed)
