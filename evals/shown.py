"""`python -m evals.shown SUITE OUTPUT.md`: every question of a suite with what was found for it and what was answered.

Asked of a `rag serve` of its own with nothing but the sample documents, as `rag-eval check` does; a table to be read,
where the measures are means.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from evals.errors import EvalError
from evals.provenance import Target
from evals.serving import sample_server
from evals.suite import Case
from evals.suite_files import load_suite

SECONDS = 120
_HEAD = ("Question", "Likely", "Found first", "Vectors", "Words", "Fused", "Answer", "As expected")


def shown(suite: Path) -> str:
    """The suite as a Markdown table.

    Raises:
        EvalError: the suite cannot be read, or the server does not start or answer.
    """
    read = load_suite(suite)
    with sample_server({}) as target:
        rows = [_row(case, _asked(target, case)) for case in read.cases]
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD)), *map(_line, rows)]
    return f"{_intro(suite, read.description)}\n\n" + "\n".join(lines) + "\n"


def _intro(suite: Path, description: str) -> str:
    return "\n\n".join(
        [
            "# Answers, shown",
            f"{description} Made by `python -m evals.shown {suite}`, with no language model: answers are quotes.",
            "*Likely* is how likely it is judged that the documents answer; below 0.3 is refused. The chunk *found "
            "first* stands with its similarity and rank among the vectors, its BM25 score and rank among the words, "
            "and the score of both. A refusal hands out no sources: there it is the place that it names first. Of an "
            "answer the quotes are shown, each with its document.",
        ]
    )


def _asked(target: Target, case: Case) -> dict[str, Any]:
    """The answer to a case behind its history, with its trace."""
    reply: dict[str, Any] = {}
    with httpx.Client(
        base_url=target.url,
        headers={"Authorization": f"Bearer {target.key}"},
        timeout=SECONDS,
        trust_env=False,
    ) as http:
        for question in (*case.history, case.question):
            asked = {"message": question, "trace": True, "stream": False}
            if reply:
                asked["conversation_id"] = reply["conversation_id"]
            try:
                reply = http.post("/api/v1/chat", json=asked).raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                raise EvalError(f"The server does not answer {case.id}.") from error
    return reply


def _row(case: Case, reply: dict[str, Any]) -> Iterator[str]:
    trace, refused = reply["trace"], reply["finish_reason"] == "refused"
    likely, first = trace["answerable"], next(iter(trace["hits"]), None)
    files = {source["number"]: source["filename"] for source in reply["sources"]}
    yield " → ".join([*case.history, case.question])
    yield "–" if likely is None else f"{likely:.2f}"
    if first is None:
        yield from ["nothing", "–", "–", "–"]
    else:
        yield files[1] if files else _nearest(reply["answer"])
        yield _side(first["dense"], first["dense_rank"])
        yield _side(first["lexical"], first["lexical_rank"])
        yield f"{first['fused']:.2f}"
    quotes = [f"“{one['quote']}” ({files[one['number']]})" for one in reply["citations"]]
    yield "refused" if refused else "<br>".join(quotes)
    yield _verdict(case, refused, list(files.values()), [files[one["number"]] for one in reply["citations"]])


def _nearest(refusal: str) -> str:
    """The place that a refusal names first: it hands out no sources."""
    named = re.search(r"^- (.+)$", refusal, re.MULTILINE)
    return named[1] if named else "–"


def _side(score: float | None, rank: int | None) -> str:
    return "–" if score is None else f"{score:.2f} ({'–' if rank is None else f'{rank}.'})"


def _verdict(case: Case, refused: bool, found: list[str], quoted: list[str]) -> str:
    if case.refuse or refused:
        return "yes" if case.refuse == refused else "no: refused" if refused else "no: answered"
    wanted = {place.file for place in case.relevant}
    return "yes" if wanted & set(quoted) else "found, not quoted" if wanted & set(found) else "no: not found"


def _line(cells: Any) -> str:
    return "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.shown", description=__doc__)
    parser.add_argument("suite", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    options.output.write_text(shown(options.suite), encoding="utf-8")


if __name__ == "__main__":
    main()
