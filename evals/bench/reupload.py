"""A document of a thousand chunks uploaded again with one paragraph changed: how much of it is embedded again."""

import time
from typing import Any

from evals.bench.ingestion import chunk_texts, made_up_text, upload
from evals.bench.stack import Running

BYTES = 950_000
"""Some thousand chunks."""


def measure(server: Running) -> dict[str, Any]:
    """A chunk of a text that was embedded before is not embedded again: those of other texts are counted."""
    paragraphs = made_up_text(BYTES, seed=23).split("\n\n")
    started = time.perf_counter()
    job = upload(server, "edited.txt", "\n\n".join(paragraphs))
    first = time.perf_counter() - started
    before = set(chunk_texts(server.http, job["document_id"]))
    paragraphs[len(paragraphs) // 2] += " A sentence that was added later."
    started = time.perf_counter()
    upload(server, "edited.txt", "\n\n".join(paragraphs))
    again = time.perf_counter() - started
    after = set(chunk_texts(server.http, job["document_id"]))
    return {
        "chunks": len(after),
        "embedded_again": len(after - before),
        "first_seconds": round(first, 1),
        "again_seconds": round(again, 1),
    }
