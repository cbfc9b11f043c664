"""The report: whole, understandable by itself, and inert whatever an answer holds."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from evals.charts import histogram, nice_step
from evals.errors import ResultsError
from evals.faults import faults, worst
from evals.markup import Html, el
from evals.report import page, write_report
from evals.results import CaseResult, Cited, Expected, SentSource
from evals.suite import Relevant
from tests.unit.evals.builders import result, results

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'></style></title><svg onload=alert(1)>"


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def faulty(text: str) -> CaseResult:
    """A case with `text` wherever there is text."""
    return result(
        "evil",
        {"recall@5": 0.0, "contains_answer": 0.0, "cites_relevant": 0.0, "quote_verbatim": 0.0},
        question=text,
        history=[text],
        language=text,
        tags=[text, "other"],
        expected=Expected(answers=[text], relevant=[Relevant(file=text, quote=text)]),
        answer=text,
        model=text,
        sources=[SentSource(number=1, document=text, score=0.5)],
        citations=[Cited(number=1, document=text, quote=text)],
        timings={"first_token_ms": 12.0},
    )


def test_script_stays_inert_text_wherever_it_stands() -> None:
    evil = results(
        faulty(EVIL),
        result("failed", error=EVIL),
        suite=EVIL,
        models=[EVIL],
        target=EVIL,
        embedding={EVIL: EVIL},
    )
    read = Reader(page(evil))
    assert not {tag for tag, _ in read.elements} & {
        "script",
        "img",
        "iframe",
        "object",
        "link",
        "base",
        "form",
        "a",
    }
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert read.text.count("<script>alert(1)</script>") >= 12
    drawings = [attributes for tag, attributes in read.elements if tag == "svg"]
    assert drawings
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in drawings)


def test_nothing_is_fetched_and_nothing_may_run() -> None:
    read = Reader(page(results(faulty("plain"))))
    policies = [
        attributes["content"] for _, attributes in read.elements if attributes.get("http-equiv") is not None
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    names = {name for _, attributes in read.elements for name in attributes}
    assert not names & {"src", "href", "srcset", "action", "poster", "data"}
    assert "url(" not in page(results(faulty("plain")))
    assert "@import" not in page(results(faulty("plain")))


def test_it_says_what_was_measured_and_how() -> None:
    text = Reader(page(results(faulty("plain"), models=["extractive"], version="1.2.3"))).text
    for part in (
        "quotes alone, without a language model",
        "recall@5",
        "1.2.3",
        "Time to first token",
        "The worst cases",
    ):
        assert part in text
    assert "0 of 1 answers cite a passage that is known to hold the answer." in text


def test_every_case_failed() -> None:
    text = Reader(page(results(*(result(f"c{n}", error="Gone.") for n in range(12))))).text
    assert "12 cases could not be measured" in text
    assert "and 2 more." in text


def test_surrogates_do_not_stop_it(tmp_path: Path) -> None:
    write_report(results(result("a", {"recall@5": 1.0}, answer="\ud800")), tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be written: Is a directory"):
        write_report(results(result("a")), tmp_path)


def test_markup_escapes_what_is_not_markup() -> None:
    assert el("p", "<b>", el("b", "&"), None, [el("i", "x")], title='"<') == Html(
        '<p title="&quot;&lt;">&lt;b&gt;<b>&amp;</b><i>x</i></p>'
    )


def test_faults_in_order_of_weight() -> None:
    refused = result("refused", refused=True)
    beside = result("beside", {"contains_answer": 0.0})
    invented = result("invented", expected=Expected(refuse=True))
    broken = result("broken", {"quote_verbatim": 0.5})
    fine = result("fine", {"contains_answer": 1.0, "recall@5": 1.0})
    found = worst([beside, refused, fine, invented, broken])
    assert [case.id for case, _ in found] == ["broken", "refused", "invented", "beside"]
    assert faults(fine) == []


def test_a_partly_found_case_says_how_much() -> None:
    both = Expected(relevant=[Relevant(file="a"), Relevant(file="b")])
    (fault,) = faults(result("half", {"recall@1": 0.0, "recall@5": 0.5}, expected=both))
    assert fault.sentence == "Only 1 of the 2 right passages stood among the first 5 sources."


@pytest.mark.parametrize("values", [[0.0], [5.0], [10.0, 10.0, 10.0], [0.4, 1999.9, 64_000.0]])
def test_every_time_is_in_some_column(values: list[float]) -> None:
    drawn = Reader(histogram(values))
    columns = [attributes for tag, attributes in drawn.elements if attributes.get("class") == "column"]
    assert 1 <= len(columns) <= len(set(values))
    for column in columns:
        x, width = float(column["x"] or "nan"), float(column["width"] or "nan")
        assert 0 <= x < x + width <= 100


def test_steps_are_round() -> None:
    assert [nice_step(rough) for rough in (0, 0.7, 1.0, 2.1, 260, 9999)] == [1, 1, 1, 2.5, 500, 10_000]
