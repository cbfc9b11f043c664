"""A real `rag serve` in a state folder of its own, started and stopped as a person would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True)
class Running:
    """A server that is ready: its address, its process, the seconds it took to be ready, a client with its key, and its
    state folder."""

    url: str
    process: psutil.Process
    ready_seconds: float
    http: httpx.Client
    state: Path

    @property
    def api(self) -> psutil.Process:
        """The process that answers."""
        return self._long_lived()["api"]

    def memory(self) -> dict[str, float]:
        """Resident megabytes of each process; PostgreSQL's many are one line (shared memory counted once)."""
        sizes: dict[str, float] = {}
        for process in [self.process, *self.process.children(recursive=True)]:
            try:
                name, full = _name(process), process.memory_full_info()
            except psutil.NoSuchProcess:  # a reader or a backend that has just ended
                continue
            sizes[name] = sizes.get(name, 0.0) + (full.pss if name == "postgres" else full.rss) / 2**20
        return {name: round(size, 1) for name, size in sizes.items()}

    def peaks(self) -> dict[str, float]:
        """The most resident megabytes that api and worker had since `forget_peaks`."""
        return {
            name: int(_status(process)["VmHWM"].split()[0]) / 1024
            for name, process in self._long_lived().items()
        }

    def forget_peaks(self) -> None:
        for process in self._long_lived().values():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def _long_lived(self) -> dict[str, psutil.Process]:
        found: dict[str, psutil.Process] = {}
        for process in self.process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found[_name(process)] = process
        return {name: found[name] for name in ("api", "worker")}


_NAMES = (
    ("rag_service.main", "api"),
    ("ingest.extract", "worker's reader"),
    ("ingest worker", "worker"),
    ("chroma", "chroma"),
    ("postgres", "postgres"),
    ("rag serve", "supervisor"),
)


def _name(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((label for mark, label in _NAMES if mark in line), "other")


def _status(process: psutil.Process) -> dict[str, str]:
    """What the kernel tells of a process."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


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
            yield Running(url, psutil.Process(process.pid), ready, http, state)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)  # answers under way have RAG_DRAIN_SECONDS
