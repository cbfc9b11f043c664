"""Five times what the server can take: those let in are to be answered as ever, the others told so at once."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from evals.bench import search
from evals.bench.arrivals import Crowd
from evals.bench.ingestion import questions_about
from evals.bench.stack import Running

TIMES = 5
SECONDS = 15.0
WARM_UP_SECONDS, ALONE_SECONDS, CAPACITY_SECONDS = 2.0, 5.0, 5.0
WAITING = (2, 3, 4, 6, 8, 12, 16, 24)
"""How many wait for their first word while it is measured what the server can take, one after the other."""
GROWTH, STEPS = 1.05, 2
"""It can take no more where so many steps in a row did not add a twentieth."""
QUESTIONS = 500


def measure(server: Running) -> dict[str, Any]:
    """Milliseconds to the first word of one at a time and under overload; of refusals, and of health checks."""
    search.fill(server)
    crowd = Crowd(
        url=f"{server.url}/api/v1/chat",
        health=f"{server.url}/health/live",
        headers={"Authorization": str(server.http.headers["authorization"])},
        bodies=[
            json.dumps({"message": question, "knowledge_base": search.SLUG})
            for question in questions_about(search.passages_text(), QUESTIONS, seed=12)
        ],
        seconds=ALONE_SECONDS,
    )
    asked = asdict(crowd)
    _seen({**asked, "waiting": 2, "seconds": WARM_UP_SECONDS})
    alone = _seen({**asked, "waiting": 1})
    waiting, most = _most(asked)
    capacity = most["count"]["admitted"] / CAPACITY_SECONDS
    over = _seen({**asked, "a_second": TIMES * capacity, "seconds": SECONDS})
    assert not over["other"], f"neither answered nor refused: {over['other']}"
    return {
        "first_delta_alone_ms": alone["admitted"],
        "turns_a_second_at_most": round(capacity, 1),
        "waiting_at_most": waiting,
        "first_delta_at_most_ms": most["admitted"],
        "overload": {
            "asked_a_second": round(over["asked"] / SECONDS, 1),
            "admitted_a_second": round(over["count"]["admitted"] / SECONDS, 1),
            "first_delta_ms": over["admitted"],
            "refused_ms": over["refused"],
            "without_retry_after": over["without_retry_after"],
            "health_ms": over["health"],
            "asked_late_ms": over["late"],
        },
        "first_delta_ratio": round(over["admitted"]["p50"] / alone["admitted"]["p50"], 2),
    }


def _most(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """How many have to wait at a time for the server to answer as many as it can, and what the crowd saw then.

    More and more: so few that it rests in between say too little, and of too many it spends itself on refusing.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    best = 0
    for waiting in WAITING:
        seen = _seen({**asked, "waiting": waiting, "seconds": CAPACITY_SECONDS})
        if not found or seen["count"]["admitted"] > GROWTH * found[best][1]["count"]["admitted"]:
            best = len(found)
        found.append((waiting, seen))
        if len(found) - 1 - best == STEPS:
            break
    return found[best]


def _seen(asked: dict[str, Any]) -> dict[str, Any]:
    """What the crowd saw."""
    command = [sys.executable, "-m", "evals.bench.arrivals"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the crowd broke off: {done.stderr[-2000:]}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
