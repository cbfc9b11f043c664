"""Questions while a large ingestion runs, beside the same questions when nothing else is done."""

import time
from typing import Any

from evals.bench.ingestion import bench_text, made_up_text, questions_about
from evals.bench.spread import spread
from evals.bench.stack import Running

QUESTIONS = 100
MEGABYTES = 2


def measure(server: Running) -> dict[str, Any]:
    """Milliseconds of a whole turn; the ingestion has to outlast the questions."""
    asked = questions_about(bench_text(), 2 * QUESTIONS, seed=4)
    idle = [_ask(server, question) for question in asked[:QUESTIONS]]
    text = made_up_text(MEGABYTES * 1024 * 1024, seed=11)
    answer = server.http.post(
        "/api/v1/knowledge-bases/default/documents", files=[("files", ("beside.txt", text.encode()))]
    )
    job = f"/api/v1/jobs/{answer.raise_for_status().json()['jobs'][0]['id']}"
    while server.http.get(job).json()["state"] != "embedding":
        time.sleep(0.1)
    busy = [_ask(server, question) for question in asked[QUESTIONS:]]
    outlasted = server.http.get(job).json()["state"] == "embedding"
    while server.http.get(job).json()["state"] not in ("succeeded", "failed", "quarantined"):
        time.sleep(0.5)
    return {
        "idle_ms": spread(idle),
        "busy_ms": spread(busy),
        "busy_worst_ms": round(max(busy), 1),
        "ratio_of_p95": round(spread(busy)["p95"] / spread(idle)["p95"], 2),
        "ingestion_outlasted_the_questions": outlasted,
    }


def _ask(server: Running, question: str) -> float:
    body = {"message": question, "stream": False}
    started = time.perf_counter()
    server.http.post("/api/v1/chat", json=body).raise_for_status()
    return 1000 * (time.perf_counter() - started)
