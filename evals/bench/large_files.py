"""The largest files that are taken in: what memory they cost while they are received, read, cut and written."""

import tempfile
import time
from pathlib import Path
from typing import Any

import fpdf

from evals.bench.ingestion import made_up_text
from evals.bench.stack import Running

TEXT_MEGABYTES = 100
PAGES = 2000
LINES = 30


def measure(server: Running) -> dict[str, Any]:
    """Peaks of memory. A job is cancelled when its first chunks are embedded: the rest would be more of the same."""
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
        text, pdf = Path(folder, "large.txt"), Path(folder, "large.pdf")
        _write_text(text)
        _write_pdf(pdf)
        return {"text_100_mb": _take_in(server, text), "pdf_2000_pages": _take_in(server, pdf)}


def _take_in(server: Running, path: Path) -> dict[str, float]:
    idle = server.memory()
    server.forget_peaks()
    started = time.perf_counter()
    with path.open("rb") as file:
        answer = server.http.post(
            "/api/v1/knowledge-bases/default/documents", files=[("files", (path.name, file))]
        )
    job = f"/api/v1/jobs/{answer.raise_for_status().json()['jobs'][0]['id']}"
    received = time.perf_counter() - started
    api = server.peaks()["api"]
    reader = 0.0
    while True:
        now = server.http.get(job).json()
        reader = max(reader, server.memory().get("worker's reader", 0.0))
        if now["state"] in ("failed", "quarantined"):
            raise RuntimeError(f"the job ended as {now['state']}: {now['error']}")
        if now["progress"]["done"] > 0:
            break
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    server.http.post(f"{job}/cancel").raise_for_status()
    return {
        "received_seconds": round(received, 1),
        "seconds_until_embedding": round(seconds, 1),
        "chunks": now["progress"]["total"],
        "api_growth_mb": round(api - idle["api"], 1),
        "worker_peak_mb": round(server.peaks()["worker"], 1),
        "reader_peak_mb": round(reader, 1),
    }


def _write_text(path: Path) -> None:
    """Paragraphs of which no two are alike."""
    part = made_up_text(1024 * 1024, seed=5).split("\n\n")
    with path.open("w") as file:
        number = 0
        while file.tell() < (TEXT_MEGABYTES - 1) * 1_000_000:
            file.write(f"{number}. {part[number % len(part)]}\n\n")
            number += 1


def _write_pdf(path: Path) -> None:
    words = made_up_text(1024 * 1024, seed=6).split()
    document = fpdf.FPDF()
    document.set_font("helvetica", size=10)
    at = 0
    for _ in range(PAGES):
        document.add_page()
        for _ in range(LINES):
            at = (at + 12) % (len(words) - 12)
            document.cell(text=" ".join(words[at : at + 12]), new_x="LMARGIN", new_y="NEXT")
    document.output(str(path))
