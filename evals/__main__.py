"""`rag-eval`: run a suite, compare two runs, draw a report, import data sets and feedback, check against a baseline.

Exit codes: 0 all is well; 1 it was measured and is not well (a regression, or cases that could not be measured);
2 it cannot be done as asked; 130 it was interrupted.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evals.compare import compare, judge
from evals.conditions import parse
from evals.errors import EvalError, ResultsError
from evals.feedback_command import feedback
from evals.import_command import imports
from evals.progress import watched
from evals.provenance import Target
from evals.report import write_report
from evals.results import Results, load
from evals.runner import Plan, run_suite
from evals.scoring import CUTOFFS
from evals.suite import Suite
from evals.suite_files import load_suite
from evals.tables import print_comparison, print_summary, print_verdict
from rag_service import logs
from rag_service.errors import RagError
from rag_service.settings import load_settings

app = typer.Typer(
    help="Measures how good the answers are, and whether a change made them better.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(imports, name="import")
app.command()(feedback)
console = Console()

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="A .yaml or .jsonl file of questions.")]
Concurrency = Annotated[
    int,
    typer.Option(
        min=1, max=64, help="Questions under way at once; times are those of a single user with 1 only."
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option("--fail-if", metavar="CONDITION", help='Such as "recall@5 < -0.02"; may be repeated.'),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail on the means alone, even where it may be an accident.")
]


@app.command()
def run(
    suite: SuiteFile,
    url: Annotated[str | None, typer.Option(help="The service to ask; one is started here if unset.")] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="RAG_API_KEY", help="Its key; for this machine its admin key if unset."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the results go.")] = Path(
        "results.jsonl"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many cases.")] = None,
    concurrency: Concurrency = 4,
    k: Annotated[
        list[int] | None, typer.Option("--k", min=1, max=1000, help="The k of recall@k; may be repeated.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="The longest that one case may take.")] = 180,
) -> None:
    """Ask every question of a suite and measure the answers.

    Without --url the service is started in this process, on the databases that the settings name.
    """
    loaded = load_suite(suite)
    plan = Plan(concurrency, limit, tuple(k or CUTOFFS), seconds)
    try:
        results = asyncio.run(_run(loaded, plan, url, key, output))
    except KeyboardInterrupt:
        console.print(f"Interrupted; what was measured until then is in {output}.", highlight=False)
        sys.exit(130)
    print_summary(results, console)
    console.print(f"Written to {output}.", highlight=False)
    if results.failed:
        sys.exit(1)


async def _run(suite: Suite, plan: Plan, url: str | None, key: str | None, output: Path) -> Results:
    async with _target(url, key) as target:
        with watched(console, len(suite.first(plan.limit))) as report:
            return await run_suite(suite, target, output, plan=plan, report=report)


@asynccontextmanager
async def _target(url: str | None, key: str | None) -> AsyncIterator[Target]:
    from evals.serving import (
        admin_key,
        in_process,
        is_local,
    )  # seconds of imports that a comparison can do without

    settings = load_settings()
    if url is not None:
        if not (key or is_local(url)):
            raise EvalError(f"No key for {url}: give one with --key or RAG_API_KEY.")
        yield Target(url.rstrip("/"), key or admin_key(settings))
        return
    logs.configure("error")
    async with AsyncExitStack() as stack:
        with console.status("Starting the service …"):
            target = await stack.enter_async_context(in_process(settings, key))
        yield target


@app.command("compare")
def compare_runs(
    a: Annotated[Path, typer.Argument(metavar="A", help="The results from before.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The results from after.")],
    fail_if: FailIf = None,
    strict: Strict = False,
) -> None:
    """Set two runs of a suite side by side, case by case.

    A condition of --fail-if fails when the mean changed by more and the interval says that this is no accident.
    """
    conditions = [parse(text) for text in fail_if or []]
    before, after = load(a), load(b)
    comparison = compare(before, after)
    if not comparison.pairs and not comparison.lost:
        raise ResultsError(f"{a} and {b} have no case in common: they are of two suites.")
    print_comparison(comparison, console)
    if conditions:
        verdict = judge(comparison, [one.strictly() if strict else one for one in conditions])
        print_verdict(verdict, console)
        if verdict.failed:
            sys.exit(1)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="What `rag-eval run` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
) -> None:
    """Draw one self-contained HTML page of a run."""
    write_report(load(results), output)
    console.print(f"Written to {output}.", highlight=False)


@app.command("check")
def check_suite(
    suite: SuiteFile,
    baseline: Annotated[Path, typer.Option(help="The results to hold it against.")],
    folder: Annotated[Path, typer.Option(help="Where results and report go.")] = Path("build/eval"),
    fail_if: FailIf = None,
    strict: Strict = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the server; may be repeated."),
    ] = None,
    concurrency: Concurrency = 1,
) -> None:
    """Start a fresh server with the sample, run the suite, compare with the baseline, draw the report.

    Nothing of this machine's environment or data takes part. Without --fail-if the usual conditions hold. If a
    change is meant, copy the new results over the baseline and commit them with it.
    """
    from evals.check import Check, check

    wanted = Check(
        suite=load_suite(suite),
        baseline=load(baseline),
        folder=folder,
        conditions=[parse(text) for text in fail_if] if fail_if else None,
        strict=strict,
        changes=dict(_assignment(text) for text in settings or []),
        concurrency=concurrency,
    )
    if not check(wanted, console):
        sys.exit(1)


def _assignment(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise EvalError(f"{text!r} is no setting; write it like RAG_RETRIEVE_CHUNKS=1.")
    return name.strip(), value.strip()


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: what was measured is kept, and what was started is stopped."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> None:
    """The entry point: our own errors are one sentence, not a trace."""
    try:
        with _terminated_like_interrupted():
            app()
    except RagError as error:
        Console(stderr=True).print(f"rag-eval: {error.detail}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
