"""Short ways to make cases, replies and results."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from evals.results import CaseResult, Expected, Header, Results
from evals.suite import Case
from evals.target import Reply
from rag_service.api.schemas.chat import CitationOut, SourceOut

NOWHERE = UUID(int=0)


def case(**fields: Any) -> Case:
    return Case.model_validate(
        {"id": "one", "question": "What?", "language": "en", "answers": ["this"], **fields}
    )


def source(number: int, filename: str, text: str = "", score: float = 0.5) -> SourceOut:
    return SourceOut(
        number=number, document_id=NOWHERE, chunk_id=NOWHERE, filename=filename, title=filename, headings=[],
        page=None, score=score, text=text,
    )  # fmt: skip


def citation(number: int, quote: str, span: tuple[int, int]) -> CitationOut:
    return CitationOut(
        number=number, document_id=NOWHERE, chunk_id=NOWHERE, answer_span=(0, 1), quote=quote, source_span=span,
        page=None,
    )  # fmt: skip


def reply(
    answer: str = "", sources: Sequence[SourceOut] = (), citations: Sequence[CitationOut] = (), **fields: Any
) -> Reply:
    return Reply(
        conversation_id=str(uuid4()), answer=answer, sources=sources, citations=list(citations),
        **{"finish_reason": "stop", "model": "extractive", "first_token_ms": 10.0, "total_ms": 20.0, **fields},
    )  # fmt: skip


def result(identifier: str, metrics: Mapping[str, float] | None = None, **fields: Any) -> CaseResult:
    return CaseResult.model_validate(
        {
            "id": identifier,
            "question": f"Question {identifier}?",
            "language": "en",
            "expected": Expected(answers=["this"]),
            "refused": False,
            "metrics": dict(metrics or {}),
            **fields,
        }
    )


def results(*cases: CaseResult, **header: Any) -> Results:
    known = {
        "suite": "made-up",
        "suite_sha256": "0" * 64,
        "cases": len(cases),
        "date": "2026-01-02T03:04:05+00:00",
        "target": "started by rag-eval",
        "concurrency": 1,
        "machine": {"cpus": 2},
        "evals_version": "0",
    }
    return Results(Header.model_validate(known | header), cases)
