"""`python -m evals.bench`: measures, prints a table, writes bench.json."""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evals.bench import (
    beside_ingestion,
    first_delta,
    idle_connections,
    ingestion,
    large_files,
    overload,
    reupload,
    search,
    small_files,
    streams,
)
from evals.bench.stack import Running, serving
from rag_service.testing.model_server import ModelServer

console = Console()


Part = Callable[[Running], dict[str, Any]]


PARTS: dict[str, Part] = {
    "ingestion": ingestion.measure,
    "beside_ingestion": beside_ingestion.measure,
    "small_files": small_files.measure,
    "search": search.measure,
    "reupload": reupload.measure,
    "large_files": large_files.measure,
    "large_search": search.measure_large,
}
"""What is measured on a server that has just been started for the first time, in this order."""

SLOW = ("large_search",)
"""What takes so long to prepare that it is measured only when it is named."""

BesideRelay = Callable[[Running, str, str], dict[str, Any]]
STREAMING: dict[str, BesideRelay] = {
    "first_delta": lambda server, _, relay: first_delta.measure(server, relay),
    "idle_connections": lambda server, _, relay: idle_connections.measure(server),
    "streams": lambda server, model, _: streams.measure(server, model),
    "overload": lambda server, *_: overload.measure(server),
}
"""What is measured after the second start, with a model server and a relay of it as processes of their own."""


def measure(only: Collection[str], results: dict[str, Any]) -> None:
    """Run the parts on one server, then start it a second time; each enters its figures as soon as it has them."""
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder, ModelServer() as model:
        state = Path(folder) / "state"
        env = {"OPENAI_BASE_URL": model.base_url}
        with serving(state, **env) as server:
            first_start = server.ready_seconds
            for name, part in PARTS.items():
                if name in only:
                    with console.status(f"Measuring {name}…"):
                        results[name] = part(server)
        with (
            streams.program("upstream") as (model_url, _),
            streams.program("relay", model_url) as (relay_url, _),
            console.status("Starting a second time…") as status,
            serving(state, OPENAI_BASE_URL=model_url) as server,
        ):
            results["start"] = {
                "first_seconds": round(first_start, 1),
                "second_seconds": round(server.ready_seconds, 1),
            }
            results["idle_memory_mb"] = server.memory()
            for name, streaming in STREAMING.items():
                if name in only:
                    status.update(f"Measuring {name}…")
                    results[name] = streaming(server, model_url, relay_url)


def flat(results: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Every figure with the path that leads to it."""
    rows: list[tuple[str, str]] = []
    for name, value in results.items():
        path = f"{prefix}{name}"
        rows += flat(value, f"{path}.") if isinstance(value, dict) else [(path, str(value))]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.bench", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    names = [*PARTS, *STREAMING]
    usual = [name for name in names if name not in SLOW]
    parser.add_argument("--only", nargs="+", choices=names, default=usual, help="leave out the other parts")
    asked = parser.parse_args()
    results: dict[str, Any] = {}
    try:
        measure(asked.only, results)
    finally:  # what was measured is not lost with a part that fails
        report(results, asked.output)


def report(results: dict[str, Any], output: Path) -> None:
    """Write the figures, with what they were measured on, and print them."""
    told = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpus": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        "results": results,
    }
    output.write_text(json.dumps(told, indent=2) + "\n")
    table = Table("Figure", "Value")
    for path, value in flat(results):
        table.add_row(path, value)
    console.print(table)
    console.print(f"Written to {output}.")


if __name__ == "__main__":
    main()
