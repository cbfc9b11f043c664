"""What users said of answers as the draft of a suite: fetched from a service, and made into cases."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evals.errors import SuiteError
from evals.import_files import Imported, rows_of, text_of
from evals.suite import Case
from rag_service.client import Client

UNDECIDED = "undecided.jsonl"


async def fetch_feedback(client: Client, path: Path, knowledge_base: str | None = None) -> int:
    """Write all feedback of a service to a JSONL file, the newest first, and return how much there is.

    Raises:
        RagError: the service does not answer, or the key may not read it.
        SuiteError: the file cannot be written.
    """
    rows = [row async for row in client.feedback(knowledge_base)]
    _write(path, rows)
    return len(rows)


def import_feedback(source: Path, destination: Path, language: str = "en") -> Imported:
    """A suite of the answers that were liked: the passages they cite are what answers, and a refusal that was liked is
    right. Those that were disliked come into a file beside it, as cases whose answer somebody has to tell.

    Raises:
        SuiteError: the file is malformed, or holds nothing that can be decided.
    """
    cases: list[dict[str, Any]] = []
    undecided: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for line, row in rows_of(source):
        text_of(source, line, row, "question")
        case = _case(row, language)
        if row.get("rating") != "like":
            undecided.append({**case, "said": _said(row)})
            continue
        try:
            checked = Case.model_validate({**case, **_truth(row)})
        except ValidationError:
            left_out["liked answers that cite nothing that is still there"] += 1
            continue
        cases.append(checked.model_dump(mode="json", exclude_defaults=True))
    if not cases and not undecided:
        raise SuiteError(f"{source} holds no feedback.")
    try:
        destination.mkdir(parents=True)
    except FileExistsError as error:
        raise SuiteError(f"{destination} exists already: name another folder, or remove it.") from error
    except OSError as error:
        raise SuiteError(f"{destination} cannot be made: {error.strerror}.") from error
    _write(destination / "suite.jsonl", cases)
    _write(destination / UNDECIDED, undecided)
    notes = [f"left out: {count} {what}" for what, count in left_out.items()]
    if undecided:
        notes.append(
            f"{len(undecided)} disliked answers in {destination / UNDECIDED}: say there what is right"
        )
    return Imported(destination / "suite.jsonl", destination, len(cases), 0, notes)


def _case(row: dict[str, Any], language: str) -> dict[str, Any]:
    return {
        "id": str(row.get("message_id")),
        "question": row["question"],
        "language": row.get("language") or language,
        "history": row.get("history") or [],
        "knowledge_base": row.get("knowledge_base") or "default",
        "tags": ["feedback"],
    }


def _truth(row: dict[str, Any]) -> dict[str, Any]:
    """What is known of the right answer, since this one was liked."""
    if row.get("finish_reason") == "refused":
        return {"refuse": True}
    files = {source.get("number"): source.get("filename") for source in row.get("sources") or []}
    passages = [
        {"file": files[citation.get("number")], "quote": citation["quote"]}
        for citation in row.get("citations") or []
        if files.get(citation.get("number")) and citation.get("quote") and citation.get("supported", True)
    ]
    return {"relevant": [one for at, one in enumerate(passages) if one not in passages[:at]]}


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """For whoever decides: what was answered, and what was said of it."""
    return {key: row.get(key) for key in ("answer", "finish_reason", "reason", "comment")}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    try:
        path.write_text("".join(lines), encoding="utf-8", errors="replace")
    except OSError as error:
        raise SuiteError(f"{path} cannot be written: {error.strerror}.") from error
