"""One self-contained HTML page of a run: for someone who has never seen such a page, and without any script."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from evals.bootstrap import mean, mean_interval
from evals.catalogue import GROUPS, Metric, metrics_of
from evals.charts import histogram, share_bar
from evals.errors import ResultsError
from evals.faults import worst
from evals.markup import Html, el, join
from evals.report_cases import case_cards, not_measured_list
from evals.results import CaseResult, Results

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing is loaded and nothing runs, whatever an answer holds."""

IN_TABLES = ("contains_answer", "cites_relevant", "refusal_recall")


def write_report(results: Results, output: Path) -> None:
    """Write the page. Raises ResultsError if it cannot be written."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(results), encoding="utf-8", errors="replace")
    except OSError as error:
        raise ResultsError(f"{output} cannot be written: {error.strerror}.") from error


def page(results: Results) -> str:
    """The whole page."""
    style = files("evals").joinpath("report.css").read_text("utf-8")
    title = f"Answer quality: {results.header.suite}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Html(style)),
    )
    body = el("body", _intro(results), el("main", *_sections(results)), _footer(results))
    return "<!DOCTYPE html>\n" + el("html", head, body, lang="en") + "\n"


def _sections(results: Results) -> list[Html]:
    cases = [case for case in results.cases if case.error is None]
    sections = [not_measured_list(results.failed)] if results.failed else []
    if not cases:
        return sections
    sections += [_group(name, cases) for name in GROUPS]
    sections += [_breakdown("By language", [(case.language, case) for case in cases])]
    sections += [_breakdown("By kind of question", [(tag, case) for case in cases for tag in case.tags])]
    times = [value for case in cases if (value := case.value("first_token_ms")) is not None]
    if times:
        sections.append(el("section", el("h2", "Time to first token"), histogram(times)))
    sections.append(case_cards(worst(cases)))
    return [section for section in sections if section]


def _intro(results: Results) -> Html:
    header = results.header
    quoting = "quotes alone, without a language model"
    models = ", ".join(quoting if name == "extractive" else name for name in header.models) or "nobody"
    line = f"{len(results.cases)} questions, answered by {models}. {header.date[:10]}."
    return el(
        "header",
        el("p", "rag-eval report", class_="kicker"),
        el("h1", f"How good are the answers to “{header.suite}”?"),
        el("p", line, class_="meta"),
        el("p", *_in_words(results), class_="lead"),
        el(
            "p",
            "Each bar runs from 0 to 100 %. The thin line across it is the 95 % interval: had other questions of "
            "the same kind been asked, the value would probably lie within it.",
            class_="hint",
        ),
    )


def _in_words(results: Results) -> list[str]:
    """The run in some sentences with counts, which need no explanation."""
    cases = [case for case in results.cases if case.error is None]
    answerable = [case for case in cases if not case.expected.refuse]
    unanswerable = [case for case in cases if case.expected.refuse]
    known = [case for case in answerable if case.value("cites_relevant") is not None]
    checked = [case for case in answerable if case.value("contains_answer") is not None]
    said: list[str] = []
    if known:
        said.append(
            f"{_of(known, 'cites_relevant')} answers cite a passage that is known to hold the answer. "
        )
    if checked:
        said.append(f"{_of(checked, 'contains_answer')} contain the expected answer word for word. ")
    if unanswerable:
        refused = f"{sum(bool(case.refused) for case in unanswerable)} of {len(unanswerable)}"
        said.append(f"Of the questions to which the documents hold no answer, {refused} were refused. ")
    if degraded := sum(case.degraded for case in cases):
        said.append(
            f"{degraded} of {len(cases)} answers were only quoted, because the language model failed. "
        )
    wrongly = sum(bool(case.refused) for case in answerable)
    if wrongly:
        said.append(
            f"Of those to which they do hold one, {wrongly} of {len(answerable)} were refused wrongly. "
        )
    return said


def _of(cases: Sequence[CaseResult], metric: str) -> str:
    return f"{sum(case.value(metric) == 1 for case in cases)} of {len(cases)}"


def _group(name: str, cases: Sequence[CaseResult]) -> Html:
    rows = [_measure(one, cases) for one in metrics_of(cases) if one.group == name]
    return el("section", el("h2", name), el("div", *rows, class_="measures")) if rows else Html("")


def _measure(measure: Metric, cases: Sequence[CaseResult]) -> Html:
    values = [case.value(measure.name) for case in cases]
    value, interval = mean(values), mean_interval(values)
    if value is None:
        return Html("")
    known = sum(one is not None for one in values)
    between = f"{measure.shown_interval(interval)}, {known} questions"
    label = f"{measure.title}: {measure.shown(value)}"
    return el(
        "article",
        el(
            "div",
            el("h3", measure.title),
            el("p", measure.about, " ", el("code", measure.name)),
            class_="about",
        ),
        el(
            "div",
            el("p", measure.shown(value), class_="value"),
            share_bar(value, interval, label) if measure.share else None,
            el("p", between, class_="between"),
            class_="figure",
        ),
        id=measure.name,
        class_="measure",
    )


def _breakdown(title: str, labelled: Sequence[tuple[str, CaseResult]]) -> Html:
    """A table with a row for each label; empty where there is nothing to set apart."""
    groups: dict[str, list[CaseResult]] = {}
    for label, case in labelled:
        groups.setdefault(label, []).append(case)
    if len(groups) < 2:
        return Html("")
    every = metrics_of([case for _, case in labelled])
    recalls = [one for one in every if one.name.startswith("recall@")]
    columns = [*recalls[-1:], *(one for one in every if one.name in IN_TABLES)]
    heads = [el("th", "Questions", scope="col"), *(el("th", one.title, scope="col") for one in columns)]
    rows = [
        el(
            "tr",
            el("th", label, scope="row"),
            el("td", str(len(group)), class_="count"),
            *(_cell(one, group) for one in columns),
        )
        for label, group in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    table = el("table", el("thead", el("tr", el("td"), *heads)), el("tbody", *rows))
    return el(
        "section",
        el("h2", title),
        el("div", table, class_="scroll", tabindex="0", role="region", aria_label=title),
    )


def _cell(measure: Metric, cases: Sequence[CaseResult]) -> Html:
    value = mean([case.value(measure.name) for case in cases])
    if value is None:
        return el("td", "–", class_="none")
    return el("td", measure.shown(value), share_bar(value, None, measure.shown(value)))


def _footer(results: Results) -> Html:
    """Everything that decides the results."""
    rows: list[Html] = []
    for name, value in results.header.model_dump(mode="json").items():
        shown = _plain(value)
        if shown:
            rows.append(join(el("dt", name.replace("_", " ")), el("dd", shown)))
    about = el("p", "What decided these results; what the target did not tell is left out.", class_="hint")
    return el("footer", el("h2", "What was measured"), about, el("dl", *rows))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(_plain(item) for item in value)
    return "" if value is None else str(value)
