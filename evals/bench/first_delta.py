"""How long until the first word: our stream beside a direct call to the same model server."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx

from evals.bench.ingestion import bench_text, questions_about
from evals.bench.stack import Running

QUESTIONS = 60
WARM_UP = 5


def measure(server: Running, model_url: str) -> dict[str, Any]:
    """Milliseconds to the first delta, ours and direct, turn about; and the parts of ours."""
    ours: list[float] = []
    direct: list[float] = []
    parts: dict[str, list[float]] = {}
    with httpx.Client(timeout=60) as plain:
        for number, question in enumerate(questions_about(bench_text(), QUESTIONS + WARM_UP, seed=2)):
            timings: dict[str, float] = {}
            mine = _first(server.http, f"{server.url}/api/v1/chat", {"message": question}, _is_delta, timings)
            body = {"model": "bench", "stream": True, "messages": [{"role": "user", "content": question}]}
            theirs = _first(plain, f"{model_url}/chat/completions", body, _is_content, {})
            if number < WARM_UP:
                continue
            ours.append(mine)
            direct.append(theirs)
            for name, value in timings.items():
                parts.setdefault(name, []).append(value)
    above = [mine - theirs for mine, theirs in zip(ours, direct, strict=True)]
    return {
        "ours_ms": spread(ours),
        "direct_ms": spread(direct),
        "above_direct_ms": spread(above),
        "parts_p50_ms": {name: round(statistics.median(values), 1) for name, values in parts.items()},
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
    }


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
