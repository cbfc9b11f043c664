"""Whole retrieval over HTTP: one question after the other, and eight clients at once."""

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from evals.bench.ingestion import questions_about
from evals.bench.small_files import passages
from evals.bench.spread import spread
from evals.bench.stack import Running

SLUG = "bench-search"
FILES = 2000
QUESTIONS = 200
CLIENTS = 8


def measure(server: Running) -> dict[str, Any]:
    """Milliseconds of a search in some 2,000 chunks with its parts, filtered and not; and searches a second."""
    fill(server)
    questions = questions_about(passages_text(), 3 * QUESTIONS, seed=9)
    timings: dict[str, list[float]] = defaultdict(list)
    for question in questions[:20]:
        _search(server.http, question)
    plain = [_timed(server.http, question, timings) for question in questions[:QUESTIONS]]
    filtered = [
        _timed(server.http, question, {}, filters={"tags": ["even"]})
        for question in questions[QUESTIONS : 2 * QUESTIONS]
    ]
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda question: _search(server.http, question), questions))
    seconds = time.perf_counter() - started
    return {
        "ms": spread(plain),
        "filtered_ms": spread(filtered),
        "parts_p50_ms": {name: spread(values)["p50"] for name, values in timings.items()},
        "eight_clients_per_second": round(len(questions) / seconds, 1),
    }


def passages_text() -> str:
    """All that the chunks say."""
    return " ".join(passages(FILES))


def fill(server: Running) -> None:
    """See to it that there is a knowledge base of some 2,000 chunks."""
    if server.http.get(f"/api/v1/knowledge-bases/{SLUG}").status_code == 200:
        return
    server.http.post("/api/v1/knowledge-bases", json={"slug": SLUG, "name": "Search"}).raise_for_status()
    texts = passages(FILES)
    for at in range(0, FILES, 100):
        files = [
            ("files", (f"{at + place}.txt", text.encode())) for place, text in enumerate(texts[at : at + 100])
        ]
        tags = {"tags": "even" if at % 200 == 0 else "odd"}
        server.http.post(
            f"/api/v1/knowledge-bases/{SLUG}/documents", files=files, data=tags
        ).raise_for_status()
    while server.http.get(f"/api/v1/knowledge-bases/{SLUG}").json()["documents"] < FILES:
        time.sleep(0.5)


def _search(http: httpx.Client, question: str, **more: Any) -> dict[str, Any]:
    body = {"query": question, "knowledge_base": SLUG, "limit": 5, **more}
    found: dict[str, Any] = http.post("/api/v1/search", json=body).raise_for_status().json()
    return found


def _timed(http: httpx.Client, question: str, timings: dict[str, list[float]], **more: Any) -> float:
    started = time.perf_counter()
    found = _search(http, question, **more)
    taken = 1000 * (time.perf_counter() - started)
    for name, value in found["timings"].items():
        timings.setdefault(name, []).append(value)
    return taken
