"""How long until the first word, asked of 2,000 chunks: our stream beside a bare relay of the same model server."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx

from evals.bench import search
from evals.bench.ingestion import questions_about
from evals.bench.spread import spread
from evals.bench.stack import Running

QUESTIONS = 60
WARM_UP = 5


def measure(server: Running, relay_url: str) -> dict[str, Any]:
    """Milliseconds to the first delta, ours and the relay's, turn about; and the parts of ours."""
    search.fill(server)
    ours: list[float] = []
    relayed: list[float] = []
    parts: dict[str, list[float]] = {}
    with httpx.Client(timeout=60) as plain:
        asked = questions_about(search.passages_text(), QUESTIONS + WARM_UP, seed=2)
        for number, question in enumerate(asked):
            timings: dict[str, float] = {}
            mine = first_delta(server, question, timings)
            body = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": question}]}
            theirs = _first(plain, f"{relay_url}/chat/completions", body, _is_content, {})
            if number < WARM_UP:
                continue
            ours.append(mine)
            relayed.append(theirs)
            for name, value in timings.items():
                parts.setdefault(name, []).append(value)
    above = [mine - theirs for mine, theirs in zip(ours, relayed, strict=True)]
    return {
        "ours_ms": spread(ours),
        "relay_ms": spread(relayed),
        "above_relay_ms": spread(above),
        "parts_p50_ms": {name: round(statistics.median(values), 1) for name, values in parts.items()},
    }


def first_delta(server: Running, question: str, timings: dict[str, float]) -> float:
    """Milliseconds to our first delta; `timings` gets the parts, once the answer has ended."""
    body = {"message": question, "knowledge_base": search.SLUG}
    return _first(server.http, f"{server.url}/api/v1/chat", body, _is_delta, timings)


def _first(
    http: httpx.Client,
    url: str,
    body: dict[str, Any],
    is_first: Callable[[str, Any], bool],
    timings: dict[str, float],
) -> float:
    started = time.perf_counter()
    elapsed = 0.0
    name = ""
    with http.stream("POST", url, json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            data = json.loads(line.removeprefix("data: "))
            if not elapsed and is_first(name, data):
                elapsed = 1000 * (time.perf_counter() - started)
            if name == "done":
                timings |= data["timings"]
    return elapsed


def _is_delta(name: str, _: Any) -> bool:
    return name == "delta"


def _is_content(_: str, data: Any) -> bool:
    return bool(data["choices"] and data["choices"][0]["delta"].get("content"))
