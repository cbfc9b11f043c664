"""One answer measured against what its case knows: from a reply to named values."""

from collections.abc import Mapping, Sequence

from evals import metrics
from evals.suite import Case, Relevant
from evals.target import Reply
from rag_service.api.schemas.chat import SourceOut

Scores = dict[str, float | None]

CUTOFFS = (1, 5)
"""The k of recall@k; MRR and nDCG are taken at the largest. The product sends 8 sources unless told otherwise."""


def score(case: Case, reply: Reply, cutoffs: Sequence[int] = CUTOFFS) -> Scores:
    """Every measure of the case that applies to it; those that do not are None.

    Retrieval is measured on the sources that were sent along with the answer. Where the service refused it sent
    none, so a question that was refused wrongly counts as not found.
    """
    answer = metrics.without_marks(reply.answer)
    return {
        **_retrieval(case.relevant, reply.sources, sorted(cutoffs)),
        "contains_answer": metrics.contains_answer(answer, case.answers),
        "token_f1": metrics.token_f1(answer, case.answers),
        "exact_match": metrics.exact_match(answer, case.answers),
        "cites_relevant": _cites_relevant(case, reply),
        "citation_validity": metrics.citation_validity(
            [citation.number for citation in reply.citations], [source.number for source in reply.sources]
        ),
        "quote_verbatim": metrics.quote_verbatim(
            [(citation.number, citation.quote, citation.source_span) for citation in reply.citations],
            {source.number: source.text for source in reply.sources},
        ),
        "refusal_precision": metrics.refusal_precision([reply.refused], [case.refuse]),
        "refusal_recall": metrics.refusal_recall([reply.refused], [case.refuse]),
    }


def _retrieval(relevant: Sequence[Relevant], sources: Sequence[SourceOut], cutoffs: Sequence[int]) -> Scores:
    last = cutoffs[-1]
    gains, ideal = gains_of(relevant, sources)
    scores: Scores = {
        f"recall@{k}": metrics.recall_at([_found(one, sources[:k]) for one in relevant]) for k in cutoffs
    }
    scores[f"mrr@{last}"] = metrics.reciprocal_rank(gains, last) if relevant else None
    scores[f"ndcg@{last}"] = metrics.ndcg(gains, ideal, last)
    return scores


def gains_of(relevant: Sequence[Relevant], sources: Sequence[SourceOut]) -> tuple[list[float], list[float]]:
    """The gain of each source, and the gains of the best order there could have been.

    A source gains what it adds: the second chunk of the same passage adds nothing. A source that holds two of
    the passages at once makes them one, with the better grade, so that no order can do better than the best.
    """
    open_ones = list(relevant)
    gains: list[float] = []
    for source in sources:
        new = [one for one in open_ones if one.matches(source.filename, source.text)]
        gains.append(float(max((one.grade for one in new), default=0)))
        open_ones = [one for one in open_ones if one not in new]
    ideal = [gain for gain in gains if gain > 0] + [float(one.grade) for one in open_ones]
    return gains, ideal


def _found(one: Relevant, sources: Sequence[SourceOut]) -> bool:
    return any(one.matches(source.filename, source.text) for source in sources)


def _cites_relevant(case: Case, reply: Reply) -> float | None:
    """1 if at least one citation points to a relevant passage; 0 too where nothing was cited."""
    if not case.relevant:
        return None
    sources: Mapping[int, SourceOut] = {source.number: source for source in reply.sources}
    cited = [sources[citation.number] for citation in reply.citations if citation.number in sources]
    return float(any(_found(one, cited) for one in case.relevant))


def is_relevant(case: Case, source: SourceOut) -> bool:
    """Whether the source is a passage that the case names."""
    return any(one.matches(source.filename, source.text) for one in case.relevant)
