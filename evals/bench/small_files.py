"""Many small files, uploaded one by one by several clients: how many a second until they can be asked.

Memory is counted from when the worker has read a first document to when it has read the last one, of all processes that
`rag serve` has started. What a worker takes up to be ready for any document is `idle_memory_mb`'s to tell, and would
else be counted, or not, by how far it happens to have come.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from evals.bench.ingestion import made_up_text, upload
from evals.bench.stack import Running

FILES = 2000
CLIENTS = 4
OPEN = ("queued", "extracting", "chunking", "embedding", "storing")


def measure(server: Running) -> dict[str, Any]:
    """Upload them into a knowledge base of their own, and wait until the last job has ended."""
    slug = "small-files"
    server.http.post("/api/v1/knowledge-bases", json={"slug": slug, "name": "Small files"}).raise_for_status()
    texts = passages(FILES)
    upload(server, "before-small-files.txt", "A worker that has read this is ready for the small files.")
    before = server.memory()
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda number: _upload(server.http, slug, number, texts[number]), range(FILES)))
    uploaded = time.perf_counter() - started
    while any(_jobs(server.http, slug, state) for state in OPEN):
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    if failed := _jobs(server.http, slug, "failed") + _jobs(server.http, slug, "quarantined"):
        raise RuntimeError(f"{len(failed)} of the small files failed: {failed[0]['error']}")
    grown = {name: size - before.get(name, 0.0) for name, size in server.memory().items()}
    return {
        "files": FILES,
        "uploaded_per_second": round(FILES / uploaded, 1),
        "files_per_second": round(FILES / seconds, 1),
        "memory_growth_mb": round(sum(grown.values()), 1),
        "memory_growth_of_mb": {name: round(size, 1) for name, size in grown.items()},
    }


def passages(count: int) -> list[str]:
    """Texts of 80 to 180 words, no two alike."""
    chance = random.Random(3)
    words = made_up_text(1024 * 1024).split()
    return [" ".join(chance.choices(words, k=chance.randint(80, 180))) for _ in range(count)]


def _upload(http: httpx.Client, slug: str, number: int, text: str) -> None:
    files = [("files", (f"passage-{number:05}.txt", text.encode()))]
    http.post(f"/api/v1/knowledge-bases/{slug}/documents", files=files).raise_for_status()


def _jobs(http: httpx.Client, slug: str, state: str) -> list[dict[str, Any]]:
    found = http.get("/api/v1/jobs", params={"knowledge_base": slug, "state": state, "limit": 1})
    jobs: list[dict[str, Any]] = found.raise_for_status().json()["items"]
    return jobs
