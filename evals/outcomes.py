"""From a case and its reply to the line that is kept of them."""

from collections.abc import Sequence

from evals.results import CaseResult, Cited, Expected, SentSource
from evals.scoring import is_relevant, score
from evals.suite import Case
from evals.target import Reply
from rag_service.api.schemas.chat import CitationOut, SourceOut

QUOTE_LENGTH = 600
ANSWER_LENGTH = 4000
"""Characters that are kept; the measures are taken before anything is cut."""


def measured(case: Case, reply: Reply, cutoffs: Sequence[int]) -> CaseResult:
    """The result of a case that was answered."""
    names = {source.number: source.filename for source in reply.sources}
    scores = {name: value for name, value in score(case, reply, cutoffs).items() if value is not None}
    return not_measured(case, None).model_copy(
        update={
            "answer": reply.answer[:ANSWER_LENGTH],
            "refused": reply.refused,
            "finish_reason": reply.finish_reason,
            "model": reply.model,
            "degraded": reply.degraded,
            "sources": [_sent(case, source) for source in reply.sources],
            "citations": [_cited(citation, names) for citation in reply.citations],
            "metrics": {name: round(value, 6) for name, value in scores.items()},
            "timings": _timings(reply),
        }
    )


def not_measured(case: Case, error: str | None) -> CaseResult:
    """The result of a case that has none, with the reason."""
    return CaseResult(
        id=case.id,
        question=case.question,
        history=list(case.history),
        language=case.language,
        tags=list(case.tags),
        expected=Expected(relevant=list(case.relevant), answers=list(case.answers), refuse=case.refuse),
        error=error,
    )


def _sent(case: Case, source: SourceOut) -> SentSource:
    return SentSource(
        number=source.number,
        document=source.filename,
        page=source.page,
        score=source.score,
        relevant=is_relevant(case, source),
    )


def _cited(citation: CitationOut, names: dict[int, str]) -> Cited:
    return Cited(
        number=citation.number,
        document=names.get(citation.number, ""),
        page=citation.page,
        quote=citation.quote[:QUOTE_LENGTH],
    )


def _timings(reply: Reply) -> dict[str, float]:
    ours = {"first_token_ms": reply.first_token_ms, "total_ms": reply.total_ms}
    theirs = {f"server_{name}_ms": value for name, value in reply.server_timings.items()}
    return {name: round(value, 1) for name, value in (ours | theirs).items() if value is not None}
