"""Has anything become worse? One command from nothing to a verdict: what `make eval` runs."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from evals.compare import compare, judge
from evals.conditions import Condition, parse
from evals.errors import ResultsError
from evals.progress import watched
from evals.report import write_report
from evals.results import Results
from evals.runner import Plan, run_suite
from evals.serving import sample_server
from evals.suite import Suite
from evals.tables import print_comparison, print_summary, print_verdict

WATCHED = ("recall@5 < -0.02", "ndcg@5 < -0.02", "contains_answer < -0.02", "cites_relevant < -0.02",
           "refusal_precision < -0.05", "refusal_recall < -0.05")  # fmt: skip
"""Falls that count where the interval says that they are real."""

PROMISED = ("citation_validity < 0", "quote_verbatim < 0")
"""What the service promises of every single answer: one case less is a fault."""


@dataclass(frozen=True)
class Check:
    """What is checked. `changes` are settings of the server; the usual conditions hold where none are given."""

    suite: Suite
    baseline: Results
    folder: Path
    conditions: Sequence[Condition] | None
    strict: bool
    changes: Mapping[str, str]
    concurrency: int

    def holding(self) -> list[Condition]:
        """The conditions that hold."""
        usual = [*map(parse, WATCHED), *(parse(text).strictly() for text in PROMISED)]
        chosen = usual if self.conditions is None else list(self.conditions)
        return [one.strictly() if self.strict else one for one in chosen]


def check(wanted: Check, console: Console) -> bool:
    """Start a server, run the suite, compare, write results and report. True if nothing became worse.

    Raises:
        EvalError: the server does not start, or the baseline is of another suite.
    """
    output = wanted.folder / f"{wanted.suite.name}.jsonl"
    page = wanted.folder / f"{wanted.suite.name}.html"
    ids = {case.id for case in wanted.suite.cases}
    if not ids & wanted.baseline.by_id().keys():
        raise ResultsError("The baseline has no case of the suite: it is of another one.")
    with ExitStack() as stack:
        with console.status("Starting a server and reading the sample …"):
            target = stack.enter_context(sample_server(wanted.changes))
        report = stack.enter_context(watched(console, len(wanted.suite.cases)))
        plan = Plan(concurrency=wanted.concurrency)
        results = asyncio.run(run_suite(wanted.suite, target, output, plan=plan, report=report))
    print_summary(results, console)
    comparison = compare(wanted.baseline, results)
    console.print(Text("\nAgainst the baseline (A):", style="bold"))
    print_comparison(comparison, console)
    verdict = judge(comparison, wanted.holding())
    print_verdict(verdict, console)
    if verdict.failed:
        console.print(f"If that is meant, make it the baseline: cp {output} BASELINE", soft_wrap=True)
    write_report(results, page)
    console.print(f"Results: {output}\nReport:  {page}", highlight=False, soft_wrap=True)
    return not verdict.failed and not results.failed
