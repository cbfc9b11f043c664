"""The part of the report that shows single cases: what was asked, expected, answered and cited."""

from collections.abc import Sequence

from evals.faults import Fault
from evals.markup import Html, el
from evals.results import CaseResult, Cited

SHOWN = 20
FAILED_SHOWN = 10
OTHERS_SHOWN = 300


def case_cards(worst: Sequence[tuple[CaseResult, list[Fault]]]) -> Html:
    """The worst cases, one card each."""
    if not worst:
        return el("section", el("h2", "The worst cases"), el("p", "No case has a fault."))
    number = f"{len(worst)} case{'s have' if len(worst) > 1 else ' has'} a fault"
    shown = f"; these are the {SHOWN} worst" if len(worst) > SHOWN else ""
    return el(
        "section",
        el("h2", "The worst cases"),
        el(
            "p",
            f"{number}{shown}. Read these first: a pattern in them says more than any mean.",
            class_="hint",
        ),
        *(_card(case, found) for case, found in worst[:SHOWN]),
        _others(worst[SHOWN : SHOWN + OTHERS_SHOWN]),
    )


def _others(rest: Sequence[tuple[CaseResult, list[Fault]]]) -> Html:
    """The further cases, a line each, to be unfolded."""
    if not rest:
        return Html("")
    lines = [
        el(
            "li",
            el("code", case.id),
            " ",
            el("span", case.question, lang=case.language, dir="auto"),
            " ",
            " ".join(fault.sentence for fault in found),
        )
        for case, found in rest
    ]
    return el("details", el("summary", f"{len(rest)} more with a fault"), el("ul", *lines, class_="others"))


def _card(case: CaseResult, found: Sequence[Fault]) -> Html:
    tags = [el("span", tag, class_="tag") for tag in (case.language, *case.tags)]
    before = [el("p", f"Asked before: {question}", class_="before", dir="auto") for question in case.history]
    return el(
        "article",
        el("p", el("code", case.id), *tags, class_="card-head"),
        *before,
        el("h3", case.question, lang=case.language, dir="auto"),
        el("ul", *(el("li", fault.sentence) for fault in found), class_="faults"),
        el(
            "dl",
            el("dt", "Expected"),
            _expected(case),
            el("dt", "Answer"),
            el("dd", el("div", case.answer.strip() or "(nothing)", class_="answer", dir="auto")),
            el("dt", "Cited"),
            _cited(case.citations),
            el("dt", "Sources sent"),
            _sent(case),
        ),
        class_="card",
    )


def _expected(case: CaseResult) -> Html:
    if case.expected.refuse:
        return el("dd", "A refusal: the documents hold no answer.")
    answers = [el("li", answer, dir="auto") for answer in case.expected.answers]
    places = [
        el("li", "in ", el("code", one.file), f": “{one.quote}”" if one.quote else None, dir="auto")
        for one in case.expected.relevant
    ]
    return el("dd", el("ul", *answers, *places))


def _cited(citations: Sequence[Cited]) -> Html:
    if not citations:
        return el("dd", "nothing")
    return el("dd", el("ul", *(_one_citation(citation) for citation in citations)))


def _one_citation(citation: Cited) -> Html:
    page = f", page {citation.page}" if citation.page else ""
    return el(
        "li",
        f"[{citation.number}] ",
        el("code", citation.document or "a source that was not sent"),
        f"{page}: ",
        el("q", " ".join(citation.quote.split()), dir="auto"),
    )


def _sent(case: CaseResult) -> Html:
    if not case.sources:
        return el("dd", "none")
    items = [
        el(
            "li",
            el("code", source.document),
            f" {source.score:.2f}",
            el("strong", " right") if source.relevant else None,
        )
        for source in case.sources
    ]
    return el("dd", el("ol", *items, class_="sources"))


def not_measured_list(failed: Sequence[CaseResult]) -> Html:
    """The cases that have no result, and why."""
    items = [el("li", el("code", case.id), f" {case.error}") for case in failed[:FAILED_SHOWN]]
    more = len(failed) - FAILED_SHOWN
    return el(
        "section",
        el("h2", f"{len(failed)} case{'s' if len(failed) > 1 else ''} could not be measured"),
        el("ul", *items),
        el("p", f"and {more} more.") if more > 0 else None,
        class_="warning",
    )
