"""Whole retrieval over HTTP: one question after the other, and eight clients at once.

In some 2,000 chunks that a worker has read, and in 200,000 that were put where one would put them (`seeding`).
"""

import asyncio
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import httpx

from evals.bench.ingestion import questions_about
from evals.bench.seeding import seed
from evals.bench.small_files import passages
from evals.bench.spread import spread
from evals.bench.stack import Running
from rag_service.knowledge.embeddings import load_embedder
from rag_service.settings import Settings

SLUG = "bench-search"
LARGE = "bench-large"
LARGE_CHUNKS = 200_000
FILES = 2000
QUESTIONS = 200
CLIENTS = 8


def measure(server: Running) -> dict[str, Any]:
    """Milliseconds of a search in some 2,000 chunks with its parts, filtered and not; and searches a second."""
    fill(server)
    return _asked(server.http, SLUG, {"filtered": ["even"]})


def measure_large(server: Running) -> dict[str, Any]:
    """The same in 200,000 chunks; the narrow filter leaves 4,000 of them."""
    texts = passages(FILES)
    embedder = load_embedder(Settings(_env_file=None))
    seed(server, LARGE, LARGE_CHUNKS, texts, asyncio.run(embedder.embed_texts(texts)))
    return _asked(server.http, LARGE, {"filtered": ["even"], "narrow": ["rare"]})


def _asked(http: httpx.Client, slug: str, filters: dict[str, list[str]]) -> dict[str, Any]:
    """Each kind of question in turn, none twice, then eight clients at once."""
    questions = iter(questions_about(passages_text(), (3 + len(filters)) * QUESTIONS + 20, seed=9))
    timings: dict[str, list[float]] = defaultdict(list)
    for question in islice(questions, 20):
        _search(http, slug, question)
    plain = [_timed(http, slug, question, timings) for question in islice(questions, QUESTIONS)]
    narrowed = {
        f"{name}_ms": spread(
            [_timed(http, slug, one, {}, filters={"tags": tags}) for one in islice(questions, QUESTIONS)]
        )
        for name, tags in filters.items()
    }
    rest = list(questions)
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda question: _search(http, slug, question), rest))
    seconds = time.perf_counter() - started
    return {
        "ms": spread(plain),
        **narrowed,
        "parts_p50_ms": {name: spread(values)["p50"] for name, values in timings.items()},
        "eight_clients_per_second": round(len(rest) / seconds, 1),
    }


def passages_text() -> str:
    """All that the chunks say."""
    return " ".join(passages(FILES))


def fill(server: Running) -> None:
    """See to it that there is a knowledge base of some 2,000 chunks."""
    if server.http.get(f"/api/v1/knowledge-bases/{SLUG}").status_code == 200:
        return
    # Words in a row are no question: none is to be refused.
    base = {"slug": SLUG, "name": "Search", "refusal_score": 0}
    server.http.post("/api/v1/knowledge-bases", json=base).raise_for_status()
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


def _search(http: httpx.Client, slug: str, question: str, **more: Any) -> dict[str, Any]:
    body = {"query": question, "knowledge_base": slug, "limit": 5, **more}
    found: dict[str, Any] = http.post("/api/v1/search", json=body).raise_for_status().json()
    return found


def _timed(
    http: httpx.Client, slug: str, question: str, timings: dict[str, list[float]], **more: Any
) -> float:
    started = time.perf_counter()
    found = _search(http, slug, question, **more)
    taken = 1000 * (time.perf_counter() - started)
    for name, value in found["timings"].items():
        timings.setdefault(name, []).append(value)
    return taken
