"""A bar that shows how far a run has come."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from evals.results import CaseResult
from evals.runner import Report


@contextmanager
def watched(console: Console, total: int) -> Iterator[Report]:
    """A bar for `total` questions; the function it gives moves it on by a result."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("[red]{task.fields[errors]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Asking", total=total, errors="")
        failed = 0

        def report(result: CaseResult) -> None:
            nonlocal failed
            failed += result.error is not None
            bar.update(task, advance=1, errors=f"{failed} failed" if failed else "")

        yield report
