"""A thousand connections that ask nothing: what they cost those that do."""

import socket
import time
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from evals.bench.first_delta import first_delta
from evals.bench.ingestion import questions_about
from evals.bench.search import passages_text
from evals.bench.spread import spread
from evals.bench.stack import Running

CONNECTIONS = 1000
ROUNDS = 4
HEALTH, TURNS = 100, 10


def measure(server: Running, connections: int = CONNECTIONS) -> dict[str, Any]:
    """Milliseconds of a health check and to a turn's first word, with the connections open and without, turn about."""
    questions = iter(questions_about(passages_text(), (2 * ROUNDS + 1) * TURNS, seed=6))
    health: dict[bool, list[float]] = {False: [], True: []}
    turns: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(TURNS):
        first_delta(server, next(questions), {})
    for number in range(2 * ROUNDS):
        is_busy = bool(number % 2)
        with ExitStack() as stack:
            for _ in range(connections if is_busy else 0):
                address = urlsplit(server.url)
                stack.enter_context(socket.create_connection((address.hostname, address.port)))
            health[is_busy] += [_health(server) for _ in range(HEALTH)]
            turns[is_busy] += [first_delta(server, next(questions), {}) for _ in range(TURNS)]
    shown = {
        "health_ms": {"without": spread(health[False]), "with": spread(health[True])},
        "first_delta_ms": {"without": spread(turns[False]), "with": spread(turns[True])},
    }
    ratios = {
        f"{name}_ratio": round(found["with"]["p50"] / found["without"]["p50"], 2)
        for name, found in shown.items()
    }
    return {**shown, **ratios}


def _health(server: Running) -> float:
    started = time.perf_counter()
    server.http.get("/health/live").raise_for_status()
    return 1000 * (time.perf_counter() - started)
