"""Ingestion end to end, beside plain encoding of the same chunks."""

import random
import time
from collections.abc import Sequence
from typing import Any

import httpx
import torch
from sentence_transformers import SentenceTransformer

from evals.bench.stack import Running
from rag_service.knowledge.embeddings import built_in_model
from rag_service.knowledge.sentences import words
from rag_service.settings import Settings

MEGABYTES = 3
SAMPLE = 640
"""Chunks that the baselines encode: enough for a rate, few enough to wait for."""

SLICE = 160


def made_up_text(size: int, *, seed: int = 7) -> str:
    """Paragraphs of sentences in the vocabulary of the sample documents; no two alike, the same in every run."""
    chance = random.Random(seed)
    vocabulary: list[str] = []
    for path in sorted(Settings(_env_file=None).sample_dir.glob("*.md")):
        vocabulary += [word for word in words(path.read_text()) if word.isascii()]
    paragraphs: list[str] = []
    length = 0
    while length < size:
        sentences = [
            " ".join(chance.choices(vocabulary, k=chance.randint(6, 22))).capitalize() + "."
            for _ in range(chance.randint(3, 9))
        ]
        paragraphs.append(" ".join(sentences))
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def bench_text() -> str:
    """The text whose ingestion is timed, and of which the other parts ask."""
    return made_up_text(MEGABYTES * 1024 * 1024)


def questions_about(text: str, count: int, *, seed: int) -> list[str]:
    """Questions that the text answers: six to ten words in a row of it, no two alike."""
    chance = random.Random(seed)
    said = text.split()
    starts = [chance.randrange(len(said) - 10) for _ in range(count)]
    return [f"What is {' '.join(said[at : at + chance.randint(6, 10)]).strip('.')}?" for at in starts]


def measure(server: Running) -> dict[str, Any]:
    """Upload one large text, and time until it can be asked; then encode a sample of its chunks plainly."""
    text = bench_text()
    upload(server, "warm-up.txt", "The worker may still be starting when the server is ready.")
    started = time.perf_counter()
    job = upload(server, "bench.txt", text)
    seconds = time.perf_counter() - started
    chunks = chunk_texts(server.http, job["document_id"])
    rate = len(chunks) / seconds
    sample = random.Random(1).sample(chunks, min(SAMPLE, len(chunks)))
    baselines = _encode_rates(sample)
    best = max(baselines.values())
    return {
        "chunks": len(chunks),
        "seconds": round(seconds, 1),
        "chunks_per_second": round(rate, 1),
        **{f"encode_{name}_per_second": round(value, 1) for name, value in baselines.items()},
        "ratio_to_float32": round(rate / baselines["float32"], 2),
        "ratio_to_raw": round(rate / best, 2),
    }


def upload(server: Running, name: str, text: str) -> dict[str, Any]:
    """Upload a text and wait until it can be asked."""
    answer = server.http.post(
        "/api/v1/knowledge-bases/default/documents", files=[("files", (name, text.encode()))]
    )
    answer.raise_for_status()
    job: dict[str, Any] = answer.json()["jobs"][0]
    while job["state"] not in ("succeeded", "failed", "quarantined"):
        time.sleep(0.5)
        job = server.http.get(f"/api/v1/jobs/{job['id']}").json()
    if job["state"] != "succeeded":
        raise RuntimeError(f"the ingestion ended as {job['state']}: {job['error']}")
    return job


def chunk_texts(http: httpx.Client, document_id: str) -> list[str]:
    """The texts of a document's chunks, in order."""
    texts: list[str] = []
    cursor: str | None = "-1"
    while cursor is not None:
        page = http.get(
            f"/api/v1/documents/{document_id}/chunks", params={"limit": 200, "cursor": cursor}
        ).json()
        texts += [item["text"] for item in page["items"]]
        cursor = page["next_cursor"]
    return texts


def _encode_rates(texts: Sequence[str]) -> dict[str, float]:
    """Chunks a second, the two precisions turn about, so that a busy moment of the machine falls on both."""
    model = SentenceTransformer(str(built_in_model()), device="cpu")
    seconds = {"float32": 0.0, "bfloat16": 0.0}
    for precision in seconds:
        _encode(model, texts[:32], precision)
    for at in range(0, len(texts), SLICE):
        for precision in seconds:
            seconds[precision] += _encode(model, texts[at : at + SLICE], precision)
    return {precision: len(texts) / value for precision, value in seconds.items()}


def _encode(model: SentenceTransformer, texts: Sequence[str], precision: str) -> float:
    """Seconds to encode the texts as sentence-transformers does it by itself."""
    started = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        model.encode(list(texts), batch_size=32, show_progress_bar=False)
    return time.perf_counter() - started
