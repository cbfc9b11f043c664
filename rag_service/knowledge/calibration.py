"""A knowledge base's own refusal score, found without anybody having to label questions.

Sentences of its own documents become questions that it should answer: their most frequent words left out, as people ask
with the words that matter, and some of the others, as they do not ask in the document's words. Sentences of other
documents become questions that it should refuse. The score that refuses few of the first is set.
"""

import math
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

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
LEFT_OUT = 0.3
FOREIGN = 2
"""Of a sentence at most so many of its rarest words are asked; of them that share is left out, and so many words of
other documents are put in their place: fitted so that questions made of a public collection's sentences came out as
likely as the questions that people had written on them."""

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
    known = set(chain.from_iterable(map(words, own)))
    foreign = sorted(set(chain.from_iterable(map(words, others))) - known)
    covered = [await judge(one) for one in _questions(own, foreign, chosen, questions)]
    uncovered = [await judge(one) for one in _questions(others, [], chosen, questions)]
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


def _questions(
    sentences: Sequence[str], foreign: Sequence[str], chosen: random.Random, count: int
) -> Iterator[str]:
    """At most `count` questions, each made of one sentence's rarest words in their order, some of them left out and
    foreign ones put between."""
    frequencies = Frequencies.among([words(one) for one in sentences])
    for sentence in chosen.sample(list(sentences), min(count, len(sentences))):
        rare = sorted(set(words(sentence)), key=lambda word: (-frequencies.rarity(word), word))[:TERMS]
        kept = set(chosen.sample(rare, math.ceil(len(rare) * (1 - LEFT_OUT))))
        asked = [word for word in dict.fromkeys(words(sentence)) if word in kept]
        for word in chosen.sample(list(foreign), min(FOREIGN, len(foreign))):
            asked.insert(chosen.randint(0, len(asked)), word)
        yield " ".join(asked)
