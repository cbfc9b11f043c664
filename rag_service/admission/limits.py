"""What a caller may use: requests a minute, turns and readers of turns at the same time, tokens a day.

A key is counted by itself, wherever it is used. A visitor is counted too by the address that asks, since anybody can be
a new visitor; one address may use what ten visitors may. Guesses at a credential are counted by the address alone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Self

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute

from rag_service.admission.counting import Counters, Standing
from rag_service.auth.principal import Principal
from rag_service.errors import TooMany
from rag_service.settings import Settings

VISITORS_AN_ADDRESS = 10
"""How many visitors' worth one address may use: an office has one address."""

CHAT_REQUESTS, CHAT_RUNS, CHAT_FOLLOWED = 600, 20, 100
"""Of a key with the role `chat`, where nothing is set; a key of an admin is then not limited."""

RUN_SECONDS = 5
"""When to come again where too many turns are under way: one of them may have ended by then."""


@dataclass(frozen=True)
class Allowance:
    """What one caller may use; 0 is no limit."""

    requests: int
    runs: int
    followed: int
    tokens: int

    def times(self, count: int) -> "Allowance":
        return Allowance(self.requests * count, self.runs * count, self.followed * count, self.tokens * count)


@dataclass
class Slot:
    """A place among those of a caller, of a turn or a reader; freed once, whatever is asked of it how often."""

    _counts: Counter[str]
    _keys: tuple[str, ...]
    _is_free: bool = False

    def free(self) -> None:
        if not self._is_free:
            self._is_free = True
            self._counts.subtract(self._keys)
            for key in self._keys:
                if not self._counts[key]:
                    del self._counts[key]


@dataclass(frozen=True)
class Limits:
    """The limits of all callers. Turns under way and their readers are counted by this process: they end with it."""

    counters: Counters
    chat: Allowance
    admin: Allowance
    visitor: Allowance
    failures: int
    _running: Counter[str] = field(default_factory=Counter)
    _following: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        requests, runs = settings.limit_requests_per_minute, settings.limit_concurrent_runs
        followed = settings.limit_followed_streams
        return cls(
            counters=Counters(settings.redis_url.get_secret_value() if settings.redis_url else None),
            chat=Allowance(
                CHAT_REQUESTS if requests is None else requests,
                CHAT_RUNS if runs is None else runs,
                CHAT_FOLLOWED if followed is None else followed,
                settings.limit_tokens_per_day,
            ),
            admin=Allowance(requests or 0, runs or 0, followed or 0, settings.limit_tokens_per_day),
            visitor=Allowance(
                settings.limit_visitor_requests_per_minute,
                settings.limit_visitor_concurrent_runs,
                settings.limit_visitor_followed_streams,
                settings.limit_visitor_tokens_per_day,
            ),
            failures=settings.limit_failures_per_minute,
        )

    async def take_request(self, principal: Principal, address: str) -> Standing | None:
        """Count a request of a caller; how it stands where least is left, None without a limit. Raises TooMany."""
        taken = [
            await self._take("requests", allowance.requests, key)
            for key, allowance in self._callers(principal, address)
        ]
        return min(filter(None, taken), key=lambda standing: standing.left, default=None)

    async def take_visit(self, address: str) -> Standing | None:
        """Count a request that nobody had to prove who they are for. Raises TooMany."""
        most = self.visitor.times(VISITORS_AN_ADDRESS).requests
        return await self._take("requests", most, _place(address))

    async def take_failure(self, address: str) -> None:
        """Count a credential that was refused. Raises TooMany."""
        await self._take("failures", self.failures, _place(address))

    async def take_slot(self, principal: Principal, address: str) -> Slot:
        """A place for one more turn.

        Raises:
            TooMany: so many are under way, or the day's tokens are used up.
        """
        callers = list(self._callers(principal, address))
        for key, allowance in callers:
            await self._check_tokens(key, allowance.tokens)
        most = {key: allowance.runs for key, allowance in callers}
        return _slot(self._running, most, "too_many_runs", "answers are being written for you")

    @contextmanager
    def following(self, principal: Principal, address: str) -> Iterator[None]:
        """Within the block a caller reads along with one more turn. Raises TooMany."""
        most = {key: allowance.followed for key, allowance in self._callers(principal, address)}
        slot = _slot(self._following, most, "too_many_streams", "answers are read along by you")
        try:
            yield
        finally:
            slot.free()

    async def spend_tokens(self, principal: Principal, address: str, tokens: int) -> None:
        """Count what a turn has used."""
        for key, allowance in self._callers(principal, address):
            if tokens and allowance.tokens:
                await self.counters.spend(_per_day(allowance.tokens), key, tokens)

    def limits_tokens(self, principal: Principal) -> bool:
        return self._allowance(principal).tokens > 0

    def _allowance(self, principal: Principal) -> Allowance:
        return {
            "visitor": self.visitor,
            "chat": self.chat,
            "evaluator": self.chat,
            "admin": self.admin,
        }[principal.role]

    def _callers(self, principal: Principal, address: str) -> Iterator[tuple[str, Allowance]]:
        """Whom a request is counted for, and what each may use."""
        yield principal.subject, self._allowance(principal)
        if principal.role == "visitor":
            yield _place(address), self.visitor.times(VISITORS_AN_ADDRESS)

    async def _take(self, name: str, most: int, key: str) -> Standing | None:
        if not most:
            return None
        standing = await self.counters.take(RateLimitItemPerMinute(most, namespace=name), key)
        if not standing.allowed:
            said = "requests" if name == "requests" else "credentials that are not valid"
            raise TooMany(
                f"More than {most} {said} in a minute; try again in {standing.seconds} seconds.",
                code="rate_limited",
                limit=(name, most, standing.window, standing.seconds),
                again_seconds=standing.seconds,
            )
        return standing

    async def _check_tokens(self, key: str, most: int) -> None:
        if not most:
            return
        standing = await self.counters.look(_per_day(most), key)
        if not standing.allowed:
            raise TooMany(
                f"The {most:,} tokens of a day are used up; there are more in {standing.seconds // 60 + 1} minutes.",
                code="token_budget_spent",
                limit=("tokens", most, standing.window, standing.seconds),
                again_seconds=standing.seconds,
            )


def _slot(counts: Counter[str], most: Mapping[str, int], code: str, what: str) -> Slot:
    """A place more for each of the keys, which may have so many; 0 is no limit. Raises TooMany.

    Without a pause from the look to the count: nobody comes in between.
    """
    for key, limit in most.items():
        if 0 < limit <= counts[key]:
            raise TooMany(
                f"{limit} {what} already; wait until one has ended.",
                code=code,
                limit=(code.removeprefix("too_many_"), limit, 0, 0),
                again_seconds=RUN_SECONDS,
            )
    counts.update(most.keys())
    return Slot(counts, tuple(most))


def _per_day(tokens: int) -> RateLimitItem:
    return RateLimitItemPerDay(tokens, namespace="tokens")


def _place(address: str) -> str:
    """An address as it is counted: of IPv6, the network that one customer has."""
    try:
        found = ip_address(address)
    except ValueError:
        return "address:unknown"
    if found.version == 6:
        mapped = found.ipv4_mapped
        return f"address:{mapped or ip_network((found, 64), strict=False)}"
    return f"address:{found}"
