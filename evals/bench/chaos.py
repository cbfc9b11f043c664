"""`python -m evals.bench.chaos`: kills processes at random during an ingestion, then asks whether all is there, once.

PostgreSQL, Chroma and the worker of a real `rag serve` are killed (SIGKILL), one at a time, while files are uploaded.
In the end every document has to be ready, with the chunks that an undisturbed reading gives, and `rag doctor` has to
find nothing.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from rich.console import Console

from evals.bench.ingestion import chunk_texts, made_up_text
from evals.bench.stack import Running, serving
from ingest.blocks import Extraction, plain_blocks
from ingest.chunking import chunk
from rag_service.knowledge.embeddings import built_in_model
from rag_service.knowledge.local_embedder import LocalEmbedder
from rag_service.settings import Settings

VICTIMS = {"worker": "ingest worker", "chroma": "chroma", "postgres": "postgres"}
console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-chaos-") as folder:
        state = Path(folder) / "state"
        with serving(state) as server:
            wrong = disturb(server, state, random.Random(given.seed), 60 * given.minutes)
    console.print("\n".join(wrong) or "Nothing is lost, doubled or left behind.", markup=False)
    sys.exit(1 if wrong else 0)


def disturb(server: Running, state: Path, chance: random.Random, seconds: float) -> list[str]:
    """Upload and kill until the time is up; wait until all is read; return what is wrong then."""
    texts: dict[str, str] = {}
    killed = dict.fromkeys(VICTIMS, 0)
    deadline = time.monotonic() + seconds
    next_kill = time.monotonic() + 5
    while time.monotonic() < deadline:
        name = f"file-{len(texts):04}.txt"
        texts[name] = made_up_text(chance.choice([500, 5_000, 40_000]), seed=len(texts))
        _insist(server, name, texts[name], deadline + 120)
        if time.monotonic() > next_kill:
            victim = chance.choice(list(VICTIMS))
            killed[victim] += _kill(server.process, VICTIMS[victim])
            next_kill = time.monotonic() + chance.uniform(2, 12)
        time.sleep(chance.uniform(0, 2))
    console.print(f"{len(texts)} files uploaded; killed: {killed}. Waiting until they are read …")
    documents = _when_read(server.http, deadline + 900)
    return _compare(server.http, documents, texts) + _doctor(state)


def _insist(server: Running, name: str, text: str, deadline: float) -> None:
    """Upload until it is acknowledged, as a client does whose server is away for a moment."""
    while True:
        try:
            answer = server.http.post(
                "/api/v1/knowledge-bases/default/documents", files=[("files", (name, text.encode()))]
            )
            if answer.status_code == 202:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} could not be uploaded: the server does not come back")
        time.sleep(0.5)


def _kill(supervisor: psutil.Process, mark: str) -> int:
    for child in supervisor.children():
        if mark in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            return 1
    return 0  # it is being started again just now


def _when_read(http: httpx.Client, deadline: float) -> dict[str, str]:
    """The id of every document by its name, once no job is open."""
    while time.monotonic() < deadline:
        try:
            documents = _all(http, "/api/v1/knowledge-bases/default/documents")
        except httpx.HTTPError:
            documents = []
        if documents and all(item["state"] != "pending" for item in documents):
            return {item["filename"]: item["id"] for item in documents}
        time.sleep(1)
    raise RuntimeError("some documents are still not read")


def _all(http: httpx.Client, path: str) -> list[dict[str, str]]:
    items: list[dict[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = http.get(path, params=params).raise_for_status().json()
        items += page["items"]
        cursor = page["next_cursor"]
    return items


def _compare(http: httpx.Client, documents: dict[str, str], texts: dict[str, str]) -> list[str]:
    embedder = LocalEmbedder(built_in_model())
    limit = min(Settings(_env_file=None).chunk_tokens, embedder.max_tokens)
    wrong = [f"{name} is not there" for name in texts.keys() - documents.keys()]
    for name in texts.keys() & documents.keys():
        text = texts[name]
        undisturbed = chunk(Extraction(text, plain_blocks(text), ""), embedder.token_spans, limit=limit)
        if chunk_texts(http, documents[name]) != [item.text for item in undisturbed]:
            wrong.append(f"{name} has other chunks than an undisturbed reading gives")
    return wrong


def _doctor(state: Path) -> list[str]:
    command = [str(Path(sys.executable).parent / "rag"), "doctor"]
    env = {**os.environ, "RAG_STATE_DIR": str(state)}
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    console.print(found.stdout, markup=False)
    return [] if found.returncode == 0 else [f"rag doctor: {found.stdout}{found.stderr}"]


if __name__ == "__main__":
    main()
