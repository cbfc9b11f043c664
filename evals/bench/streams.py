"""Many streams at once on one api process, beside a bare relay of the same model server and a direct reader."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import psutil

from evals.bench import search
from evals.bench.ingestion import questions_about
from evals.bench.load import Order
from evals.bench.stack import Running
from evals.bench.upstream import AT_LENGTH

STREAMS = 200
A_SECOND = 8.0
"""How fast streams are begun: what is measured is streaming, not beginning."""
SECONDS = 20.0
WARM_UP = 10
PIECE = '"content":"'


@contextmanager
def program(module: str, *arguments: str) -> Iterator[tuple[str, psutil.Process]]:
    """A part of the bench in a process of its own, with the address that it prints."""
    command = [sys.executable, "-m", f"evals.bench.{module}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def measure(
    server: Running, model_url: str, streams: int = STREAMS, seconds: float = SECONDS
) -> dict[str, Any]:
    """Gaps between pieces, processor time a piece, memory a stream: ours, the relay's, and read directly."""
    asked = {
        "model": "bench",
        "stream": True,
        "messages": [{"role": "user", "content": f"{AT_LENGTH} of it."}],
    }
    direct = _watch(
        Order(f"{model_url}/chat/completions", {}, asked, PIECE, streams, 4 * A_SECOND, seconds), None
    )
    with program("relay", model_url) as (url, process):
        order = Order(f"{url}/chat/completions", {}, asked, PIECE, streams, 4 * A_SECOND, seconds)
        relayed = _watch(order, process)
    search.fill(server)
    question = questions_about(search.passages_text(), 1, seed=8)[0]
    body = {"message": f"{question} {AT_LENGTH}.", "knowledge_base": search.SLUG}
    key = {"Authorization": server.http.headers["authorization"]}
    ours = _watch(
        Order(f"{server.url}/api/v1/chat", key, body, "event: delta", streams, A_SECOND, seconds),
        server.api,
    )
    return {
        "ours": ours,
        "relay": relayed,
        "direct": direct,
        "gap_p99_of_direct": round(ours["gap_p99_ms"] / direct["gap_p99_ms"], 2),
        "cpu_a_piece_of_relay": round(ours["cpu_us_a_piece"] / relayed["cpu_us_a_piece"], 2),
    }


def _watch(order: Order, process: psutil.Process | None) -> dict[str, Any]:
    if process is not None:  # what the first few streams make once is no memory of a stream
        _watch(replace(order, streams=WARM_UP, seconds=1), None)
    before = process.memory_info().rss if process else 0
    command = [sys.executable, "-m", "evals.bench.load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin is not None and load.stdout is not None
        load.stdin.write(json.dumps(asdict(order)))
        load.stdin.close()
        assert load.stdout.readline() == "open\n", "the streams did not begin; see the server's log"
        cpu = _cpu(process)
        # Before the window is over: then the streams are closed.
        memory: list[int] = []
        timer = threading.Timer(
            0.8 * order.seconds, lambda: memory.append(process.memory_info().rss if process else 0)
        )
        timer.start()
        seen: dict[str, Any] = json.loads(load.stdout.readline())
        cpu = _cpu(process) - cpu
        timer.join()
    if process is not None:
        seen["cpu_us_a_piece"] = round(1e6 * cpu / seen["pieces"], 1)
        seen["kb_a_stream"] = round((memory[0] - before) / 1024 / order.streams, 1)
    return seen


def _cpu(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)
