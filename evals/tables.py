"""Results and comparisons as tables in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from evals.bootstrap import mean, mean_interval
from evals.catalogue import metrics_of
from evals.compare import Change, Comparison, Verdict
from evals.results import CaseResult, Results


def print_summary(results: Results, console: Console) -> None:
    """The mean of every measure, with its interval, and by language where there are several."""
    languages = sorted({case.language for case in results.cases})
    columns = languages if len(languages) > 1 else []
    table = Table(
        _name(), _number("Mean"), _number("95 % interval"),
        _number("Cases"), *(_number(language) for language in columns), box=None, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for measure in metrics_of(results.cases):
        values = _values(results.cases, measure.name)
        interval = mean_interval(values)
        known = sum(value is not None for value in values)
        by_language = [
            measure.shown(
                mean(_values([case for case in results.cases if case.language == one], measure.name))
            )
            for one in columns
        ]
        table.add_row(
            measure.name,
            measure.shown(mean(values)),
            measure.shown_interval(interval),
            str(known),
            *by_language,
        )
    console.print(table)
    if results.failed:
        first = results.failed[0]
        console.print(
            Text(
                f"{len(results.failed)} of {len(results.cases)} cases could not be measured; the first, {first.id}: "
                f"{first.error}",
                style="red",
            ),
            soft_wrap=True,
        )


def _name() -> Column:
    return Column("Measure", no_wrap=True)


def _number(name: str) -> Column:
    """A column of numbers."""
    return Column(name, justify="right", no_wrap=True)


def _values(cases: Sequence[CaseResult], name: str) -> list[float | None]:
    return [case.value(name) for case in cases]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Both means, the difference and its interval, and how many cases went which way."""
    console.print(f"{len(comparison.pairs)} cases compared, B against A.")
    for note in comparison.notes:
        console.print(f"  {note}")
    numbers = ("A", "B", "B - A", "95 % interval", "better", "worse")
    table = Table(_name(), *(_number(name) for name in numbers), box=None, padding=(0, 2, 0, 0))
    for change in comparison.changes:
        measure = change.metric
        table.add_row(
            measure.name,
            measure.shown(change.before),
            measure.shown(change.after),
            Text(measure.shown_difference(change.difference), style=_style(change)),
            measure.shown_change(change.interval),
            str(change.better),
            str(change.worse),
        )
    console.print(table)


def _style(change: Change) -> str:
    """Colour only for what the interval says is no accident."""
    if change.interval is None or not change.interval.excludes_zero:
        return ""
    return "green" if (change.interval.low > 0) == change.metric.higher_is_better else "red"


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Why it fails, or that it does not."""
    for sentence in verdict.failures:
        console.print(Text(f"FAILED  {sentence}", style="red"), soft_wrap=True)
    if not verdict.failed:
        console.print(Text("No regression.", style="green"))
