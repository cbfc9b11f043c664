"""How much of a question a text holds, in shares of the question's words weighted by how rare they are."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag_service.knowledge.question_words import QUESTION_WORDS
from rag_service.knowledge.sentences import words

Terms = Callable[[str], Sequence[str]]
"""Cuts a text into what is compared: its words, or their stems."""


_IMAGINED = 50
"""Chunks that are counted in beside those there are, with none of the terms in them: in a small collection, where what
it is about stands in most chunks, a word it never uses must not be all that counts."""


@dataclass(frozen=True)
class Frequencies:
    """Of how many of `chunks` texts each term is part; a term that is missing is part of none."""

    chunks: int
    counts: Mapping[str, int]

    @classmethod
    def among(cls, bags: Sequence[Collection[str]]) -> "Frequencies":
        """Those of a few bags of terms alone, where nobody knows those of the whole collection."""
        return cls(len(bags), Counter(term for bag in bags for term in set(bag)))

    def rarity(self, term: str) -> float:
        """Inverse document frequency as in BM25, above 0: Robertson, Zaragoza: The Probabilistic Relevance Framework
        (2009), made positive by the 1 inside the logarithm."""
        count = min(self.counts.get(term, 0), self.chunks)
        return math.log(1 + (self.chunks + _IMAGINED - count + 0.5) / (count + 0.5))


@dataclass(frozen=True)
class Question:
    """The roots of a question's terms, each with its weight; the weights sum to 1 unless there are none."""

    weights: Mapping[str, float]

    @classmethod
    def of(cls, text: str, frequencies: Frequencies, terms: Terms = words) -> "Question":
        asked = dict.fromkeys(terms(text))
        rare = {term: frequencies.rarity(term) for term in asked if term not in _asking(terms)}
        total = sum(rare.values())
        weights: dict[str, float] = defaultdict(float)
        for term, value in rare.items():
            weights[_root(term)] += value / total
        return cls(weights)

    def share_in(self, bag: Collection[str]) -> float:
        """The share of the question that a bag of roots holds, 0 to 1."""
        return sum(weight for term, weight in self.weights.items() if term in bag)


_ROOT_LETTERS = 5


def roots(terms: Iterable[str]) -> set[str]:
    """Terms in the form in which they are compared.

    Outside of ASCII only the first letters count: no stemmer is at hand for most scripts, and most languages inflect
    at the end of a word. Over no cutting at all, this refuses 8 to 16 % more of the uncovered questions in Hindi,
    Russian and Bangla.
    """
    return set(map(_root, terms))


def _root(term: str) -> str:
    return term if term.isascii() else term[:_ROOT_LETTERS]


_asking_of: dict[Terms, frozenset[str]] = {}


def _asking(terms: Terms) -> frozenset[str]:
    if terms not in _asking_of:
        _asking_of[terms] = frozenset(terms(QUESTION_WORDS))
    return _asking_of[terms]


def best_share(question: Question, bags: Iterable[Collection[str]]) -> float:
    """The largest share of the question that one of the bags holds; 0 where there is none."""
    return max(map(question.share_in, bags), default=0.0)
