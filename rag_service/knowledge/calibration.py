"""A knowledge base's own refusal score, found without anybody having to label questions.

Sentences of its own documents become questions that it should answer, with part of their rarest words left out, since
people do not ask in the documents' words. Sentences of other documents become questions that it should refuse. The
score that refuses few of the first is set.
"""

import math
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from rag_service.errors import InvalidInput
from rag_service.knowledge.coverage import Frequencies
from rag_service.knowledge.sentences import sentence_spans, words

FEWEST = 40
"""Sentences that a collection must have to be calibrated."""

QUESTIONS = 200
FALSE_REFUSALS = 0.05
BOUNDS = (0.05, 0.95)
"""No score outside of them is set: what questions people really ask, no sentence tells."""

TERMS = 8
LEFT_OUT = 0.5
"""Of a sentence's so many rarest words that share is left out, as people ask in other words than the documents'."""

Judge = Callable[[str], Awaitable[float]]
"""How likely it is that the knowledge base answers a question, 0 to 1."""


@dataclass(frozen=True)
class Calibration:
    """A refusal score, and what it does to the questions that it was found with."""

    score: float
    covered: int
    uncovered: int
    false_refusals: float
    """The share of the covered questions that it refuses."""
    refusals: float | None
    """The share of the uncovered questions that it refuses; None where there were none."""


def usable(texts: Sequence[str]) -> list[str]:
    """The sentences that say enough to be asked about, each once."""
    found = (text[start:end] for text in texts for start, end in sentence_spans(text))
    return list(dict.fromkeys(one for one in found if len(set(words(one))) >= TERMS))


def check_size(own: Sequence[str]) -> None:
    """Raises InvalidInput where these are too few sentences to tell anything."""
    if len(own) < FEWEST:
        raise InvalidInput(
            f"The knowledge base has {len(own)} usable sentences, and {FEWEST} are needed to find a refusal score: "
            "add documents first, or set refusal_score by hand.",
            code="too_small_to_calibrate",
        )


async def find_score(
    own: Sequence[str], others: Sequence[str], judge: Judge, *, questions: int = QUESTIONS, seed: int = 0
) -> Calibration:
    """The score for a collection with the sentences `own`, beside those of other documents.

    Raises:
        InvalidInput: there are too few sentences to tell anything.
    """
    check_size(own)
    chosen = random.Random(seed)  # noqa: S311 - a sample, the same each time
    covered = [await judge(one) for one in _questions(own, chosen, questions)]
    uncovered = [await judge(one) for one in _questions(others, chosen, questions)]
    least, most = BOUNDS
    wanted = sorted(covered)[math.floor(FALSE_REFUSALS * len(covered))]
    score = round(min(most, max(least, wanted)), 3)
    return Calibration(
        score=score,
        covered=len(covered),
        uncovered=len(uncovered),
        false_refusals=_below(covered, score),
        refusals=_below(uncovered, score) if uncovered else None,
    )


def _below(likely: Sequence[float], score: float) -> float:
    return sum(one < score for one in likely) / len(likely)


def _questions(sentences: Sequence[str], chosen: random.Random, count: int) -> Iterator[str]:
    """At most `count` questions, each a sentence without some of its rarest words."""
    frequencies = Frequencies.among([words(one) for one in sentences])
    for sentence in chosen.sample(list(sentences), min(count, len(sentences))):
        asked = words(sentence)
        rare = sorted(set(asked), key=lambda word: (-frequencies.rarity(word), word))[:TERMS]
        left_out = set(chosen.sample(rare, round(len(rare) * LEFT_OUT)))
        yield " ".join(word for word in asked if word not in left_out)
