"""A real `rag serve` in a state folder of its own, started and stopped as a person would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True)
class Running:
    """A server that is ready: its address, its process, the seconds it took to be ready, a client with its key."""

    url: str
    process: psutil.Process
    ready_seconds: float
    http: httpx.Client

    def memory(self) -> dict[str, float]:
        """Resident megabytes of each process; PostgreSQL's many are one line (shared memory counted once)."""
        sizes: dict[str, float] = {}
        for process in [self.process, *self.process.children(recursive=True)]:
            line = " ".join(process.cmdline())
            name = next((label for mark, label in _NAMES if mark in line), "other")
            full = process.memory_full_info()
            sizes[name] = sizes.get(name, 0.0) + (full.pss if name == "postgres" else full.rss) / 2**20
        return {name: round(size, 1) for name, size in sizes.items()}


_NAMES = (
    ("rag_service.main", "api"),
    ("ingest.extract", "worker's reader"),
    ("ingest worker", "worker"),
    ("chroma", "chroma"),
    ("postgres", "postgres"),
    ("rag serve", "supervisor"),
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(state: Path, **env: str) -> Iterator[Running]:
    """Run `rag serve` until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ours = {**os.environ, "RAG_STATE_DIR": str(state), "RAG_PORT": str(port), "RAG_SAMPLE": "false", **env}
    started = time.perf_counter()
    command = [str(Path(sys.executable).parent / "rag"), "serve"]
    process = subprocess.Popen(command, env=ours, stdout=subprocess.DEVNULL)
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"`rag serve` ended with code {process.returncode}; see {state}/logs")
            try:
                if httpx.get(f"{url}/health/ready", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        ready = time.perf_counter() - started
        key = (state / "admin.key").read_text().strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600) as http:
            yield Running(url, psutil.Process(process.pid), ready, http)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
