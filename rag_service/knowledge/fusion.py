"""One list out of two: what the vectors find and what the words find.

The fused score of a chunk is `weight * cosine + words`, where `words` is its BM25 score made comparable between
questions (`_shares`), and the weight of the vectors is found anew for each question. Figures named here are nDCG@10 of
`python -m evals.bench.retrieval` on squad, cranfield, cisi, trec-cast, tydiqa (4 languages) and xquad (10).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np

CANDIDATES = 50
"""Hits that are asked of each side. With 30, cranfield and cisi lose .005 and .009; with 100 nobody gains."""

WEIGHT = 0.8
"""Weight of the vectors where the model knows the language. English sets are best at .3 (squad) to 1.7 (tydiqa)."""
FINEST = 0.2
"""Pieces a letter of a language that the model knows: English has .2 to .25."""
DECAY = 0.2
"""How many pieces a letter more take the weight down to 1/e. Finnish, German and Spanish (.37) are best at a weight of
.2 to .5, Turkish (.46) at 0 to .1, what is read letter by letter (1) at 0 to .1. From .15 to .3 nothing changes by more
than .004."""

AGREEMENT = (0.3, 0.1)
"""Where half the weight is given, and how fast it changes (`agreement_weight`)."""

K1 = 1.2
"""BM25's saturation, tantivy's own: no term can score more than its IDF times K1 + 1."""
B = 0.75
"""How far the length of a text counts in it, tantivy's own too."""
LEVEL = 0.4
"""What the best words of a question usually reach of what is possible: brings `_shares` to the scale of cosines."""


class Fused(NamedTuple):
    """A chunk found, and how: cosine and BM25 score with their ranks from 1; None where that side did not find it.

    `dense` may be known without `dense_rank`, of a chunk that only the words found.
    """

    chunk_id: UUID
    dense: float | None
    dense_rank: int | None
    lexical: float | None
    lexical_rank: int | None
    fused: float


ENOUGH = 24
"""Chunks, the best by both sides, whose texts are looked at."""


def fuse(
    dense: Sequence[tuple[UUID, float]],
    lexical: Sequence[tuple[UUID, float]],
    *,
    weight: float,
    possible: float,
    cosines: Mapping[UUID, float] | None = None,
) -> list[Fused]:
    """Both lists, best first, as one, best first.

    `weight` is that of the vectors (`dense_weight`, `agreement_weight`), `possible` the most that BM25 can give to
    this question (`most_possible`). `cosines` are those of chunks that only the words found. One that is missing there
    counts as the lowest of `dense`: with all of them known, cranfield, finnish and cisi gain .008, .009 and .005.
    """
    dense_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(dense, 1)}
    lexical_ranks = {chunk_id: rank for rank, (chunk_id, _) in enumerate(lexical, 1)}
    known = {**(cosines or {}), **dict(dense)}
    lowest = min((cosine for _, cosine in dense), default=0.0)
    scores, shares = dict(lexical), _shares(lexical, possible)
    found = [
        Fused(
            chunk_id,
            known.get(chunk_id),
            dense_ranks.get(chunk_id),
            scores.get(chunk_id),
            lexical_ranks.get(chunk_id),
            weight * known.get(chunk_id, lowest) + shares.get(chunk_id, 0.0),
        )
        for chunk_id in dict.fromkeys([*dense_ranks, *lexical_ranks])
    ]
    return sorted(found, key=lambda hit: -hit.fused)


def _shares(lexical: Sequence[tuple[UUID, float]], possible: float) -> dict[UUID, float]:
    """BM25 scores as the geometric mean of their share of what is possible and of their share of the best.

    The first alone makes the best weight differ more between collections; the second alone calls the best hit good,
    whatever it is. The mean is within .003 of the better of the two at its best weight, on every collection.
    """
    best = max((score for _, score in lexical), default=0.0)
    if best <= 0:
        return {}
    scale = math.sqrt(LEVEL / (best * max(possible, best)))
    return {chunk_id: score * scale for chunk_id, score in lexical}


def idf(chunks: int, frequency: int) -> float:
    """BM25's inverse document frequency of a term that `frequency` of the chunks hold."""
    return math.log(1 + (chunks - frequency + 0.5) / (frequency + 0.5))


def most_possible(asked: Mapping[str, float], chunks: int, frequencies: Mapping[str, int]) -> float:
    """The BM25 score of a chunk that held each term without end; `asked` are terms with their weights."""
    return (K1 + 1) * sum(times * idf(chunks, frequencies.get(term, 0)) for term, times in asked.items())


def dense_weight(pieces: float) -> float:
    """The weight of the vectors, by how finely the model's tokenizer has to cut the question (pieces a letter).

    A model knows a language about as well as its vocabulary does. Where words come as single letters or as unknown,
    the vectors are noise, and every fixed weight makes the answer worse than words alone.
    """
    return WEIGHT * math.exp(-max(0.0, pieces - FINEST) / DECAY)


def agreement_weight(dense: Sequence[tuple[UUID, float]], lexical: Sequence[tuple[UUID, float]]) -> float:
    """The weight of the vectors, for a model whose tokenizer is not known or, cutting bytes, does not tell.

    It looks at how well the five nearest vectors do in the list of words, as a share of that one's best: of chunks
    that are about the question some hold its words. Less exact than `dense_weight`.
    """
    scores = dict(lexical)
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return WEIGHT
    share = float(np.mean([scores.get(chunk_id, 0.0) for chunk_id, _ in dense[:5]] or [0.0])) / best
    middle, width = AGREEMENT
    return WEIGHT / (1 + math.exp((middle - share) / width))
