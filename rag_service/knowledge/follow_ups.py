"""Questions that only make sense after others ("How deadly is it?"), searched for without a language model.

The questions before lend their words and their vectors to this one: the more, the less it says itself. Answers lend
nothing: their words lead back to the passages that were just read (in trec-cast a weight of .05 costs some .1).
Figures are nDCG@10 of `python -m evals.bench.retrieval`; trec-cast gains .04, and questions that stand alone lose at
most .003 where three unrelated ones come before them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.fusion import idf

QUESTIONS = 8
"""Earlier questions that count at most: older ones would weigh less than a tenth of the first."""
FADING = 0.8
"""What remains of an earlier question's weight with each turn. In trec-cast .7 to .85 are within .01."""
VECTOR = 0.3
"""Weight of the last question's vector beside this one's. trec-cast is flat from .2 to .4."""
TERMS = 0.15
"""Weight of the last question's terms. Twice as much gains .006 in trec-cast, and costs squad .003 where the questions
before are about other things."""
RARE_WORDS = 2.0
"""A question that holds as much as so many words that occur once needs all the help; twice as much, half of it."""
ENOUGH = 3.5
"""From so many rare words that the documents know, a question is searched for as it is. Of trec-cast's follow-ups that
is 30 %; as they are, with the questions before lent, they find more (.775) than as people rewrote them (.727): .712
instead of .698 for all. Of squad's questions, which all stand alone, it is 57 %."""
STEP = 20
"""Terms are asked of the lexical index so many times for a weight of 1: weights go in steps of 1/20."""


def need(asked: Sequence[str], chunks: int, frequencies: Mapping[str, int]) -> float:
    """How much help a question needs, above 0 to 1, by the IDF mass of its terms: in no way by a list of pronouns,
    which every language has its own of."""
    mass = sum(idf(chunks, frequencies.get(term, 0)) for term in set(asked))
    return 1.0 if mass <= 0 else min(1.0, RARE_WORDS * idf(chunks, 0) / mass)


def says_enough(question: str, asked: Sequence[str], chunks: int, frequencies: Mapping[str, int]) -> bool:
    """Whether a question says so much that no model need say it better; `asked` are its terms.

    Words that no document holds say nothing to a search. False where it cannot be told: in a script without spaces,
    whose terms are overlapping pairs of letters.
    """
    known = [count for term in set(asked) if (count := frequencies.get(term, 0))]
    if len(known) > len(question.split()):
        return False
    return sum(idf(chunks, count) for count in known) >= ENOUGH * idf(chunks, 0)


def lent_terms(asked: Sequence[str], before: Sequence[Sequence[str]], help_needed: float) -> dict[str, float]:
    """The terms to search for, with their weights; `before` are the terms of earlier questions, oldest first.

    A term of this question weighs as often as it occurs; a borrowed one as the last question that holds it.
    """
    weights: dict[str, float] = {}
    for age, earlier in enumerate(reversed(before[-QUESTIONS:])):
        for term in earlier:
            weights.setdefault(term, help_needed * TERMS * FADING**age)
    own: dict[str, float] = {}
    for term in asked:
        own[term] = own.get(term, 0.0) + 1.0
    return {**weights, **own}


def repeated(weights: Mapping[str, float]) -> list[str]:
    """Weighted terms for a lexical index, which counts how often a term is asked; scores come out STEP-fold."""
    return [term for term, weight in weights.items() for _ in range(round(STEP * weight))]


def lent_vector(question: Vectors, before: Vectors, help_needed: float) -> Vectors:
    """The vector to search with, of shape (dimensions,) and unit length.

    `before` are those of earlier questions, oldest first, of shape (n, dimensions).
    """
    if not len(before):
        return question  # of unit length, as the embedder gives it
    earlier = before[-QUESTIONS:][::-1]
    weights = help_needed * VECTOR * FADING ** np.arange(len(earlier))
    mixed = question + weights @ earlier
    return np.asarray(mixed / (np.linalg.norm(mixed) or 1.0), dtype=np.float32)
