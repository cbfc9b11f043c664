"""A knowledge base's own refusal score, found without anybody having to label questions.

Sentences of its own documents become questions, with part of their rarest words left out, since people do not ask in
the documents' words. Each is asked twice: with all documents there, and with its own left out, which makes of it a
question on a neighbouring subject that the rest does not cover. What such questions reach is what real questions reach
that are not covered, in squad and in xquad's languages; so the score is set to refuse nearly all of them, but drawn
towards what other collections came to, as the rarest of a few hundred questions tell little. With halves of squad
loaded that refuses .94 of the uncovered questions and .05 of the covered, where .3 refuses .65 and .01.
"""

import math
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from rag_service.errors import InvalidInput
from rag_service.knowledge.coverage import Frequencies
from rag_service.knowledge.sentences import sentence_spans, words

FEWEST = 40
"""Sentences that a collection must have to be calibrated."""
DOCUMENTS = 8
"""Documents it must have for one to be left out: else questions that it should refuse are made of other documents."""

QUESTIONS = 300
REFUSED = (0.82, 0.96)
"""The share of the uncovered questions that is to be refused: the first by words alone, the second where the embedding
model's similarities can be trusted."""
USUAL = (0.4, 0.8)
"""What such scores usually come to, in the same two cases."""
OWN = 0.6
"""How far the score follows the collection's own questions, from what is usual, in log-odds.

Fitted to squad, where 3.5 to 6.6 % of the covered questions are refused, 5 % at the mean. In English halves of tydiqa
and xquad it is 1.8 to 4.5 %, in Spanish, Hindi and Russian .7 to 4.9 %, in Bangla, Finnish, German and Thai 3.7 to
7.5 %. Without being drawn, the score refuses 1.5 to 7.6 % in English.
"""
FALSE_REFUSALS = 0.05
"""The share of the covered ones that may be, at most."""
BOUNDS = (0.05, 0.95)
"""No score outside of them is set: what questions people really ask, no sentence tells."""

TERMS = 8
LEFT_OUT = 0.5
"""Of a sentence's so many rarest words that share is left out, as people ask in other words than the documents'."""


@dataclass(frozen=True)
class Sentence:
    """One that says enough to be asked about, and the document that it stands in, if it is one of the collection's."""

    text: str
    document: UUID | None = None


Judge = Callable[[str, UUID | None], Awaitable[float]]
"""How likely it is that the knowledge base answers a question, 0 to 1; without one document where it is named."""


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


def usable(texts: Sequence[tuple[UUID | None, str]]) -> list[Sentence]:
    """The sentences that say enough to be asked about, each once; of texts with their documents."""
    found: dict[str, Sentence] = {}
    for document, text in texts:
        for start, end in sentence_spans(text):
            if len(set(words(text[start:end]))) >= TERMS:
                found.setdefault(text[start:end], Sentence(text[start:end], document))
    return list(found.values())


def check_size(own: Sequence[Sentence]) -> None:
    """Raises InvalidInput where these are too few sentences to tell anything."""
    if len(own) < FEWEST:
        raise InvalidInput(
            f"The knowledge base has {len(own)} usable sentences, and {FEWEST} are needed to find a refusal score: "
            "add documents first, or set refusal_score by hand.",
            code="too_small_to_calibrate",
        )


async def find_score(
    own: Sequence[Sentence],
    others: Sequence[Sentence],
    judge: Judge,
    *,
    trust: float = 0.0,
    usual: float = 0.3,
    questions: int = QUESTIONS,
    seed: int = 0,
) -> Calibration:
    """The score for a collection with the sentences `own`. `others`, of other documents, are only asked where it has
    too few documents to leave one out. `trust` is how far similarities tell in its language (`refusal.trust`), and
    `usual` the score that is set if no other is, which only questions that it should answer can bring lower.

    Raises:
        InvalidInput: there are too few sentences to tell anything.
    """
    check_size(own)
    chosen = random.Random(seed)  # noqa: S311 - a sample, the same each time
    asked = list(_questions(own, chosen, questions))
    strange = asked if is_divided(own) else [(one, None) for one, _ in _questions(others, chosen, questions)]
    covered = [await judge(one, None) for one, _ in asked]
    uncovered = [await judge(one, without) for one, without in strange]
    least, most = BOUNDS
    wanted = sorted(covered)[math.floor(FALSE_REFUSALS * len(covered))]
    if uncovered:
        wanted = min(wanted, max(usual, _drawn(sorted(uncovered), trust)))
    score = round(min(most, max(least, wanted)), 3)
    return Calibration(
        score=score,
        covered=len(covered),
        uncovered=len(uncovered),
        false_refusals=_below(covered, score),
        refusals=_below(uncovered, score) if uncovered else None,
    )


def _drawn(uncovered: Sequence[float], trust: float) -> float:
    """The score that refuses most of the uncovered questions, which are in order, drawn towards what is usual."""
    refused, prior = (low + (high - low) * trust for low, high in (REFUSED, USUAL))
    least, most = BOUNDS
    own = min(most, max(least, uncovered[math.floor(refused * len(uncovered))]))
    return 1 / (1 + math.exp(-OWN * _log_odds(own) - (1 - OWN) * _log_odds(prior)))


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def is_divided(own: Sequence[Sentence]) -> bool:
    """Whether there are documents enough to leave out one at a time."""
    return len({one.document for one in own if one.document}) >= DOCUMENTS


def _below(likely: Sequence[float], score: float) -> float:
    return sum(one < score for one in likely) / len(likely)


def _questions(
    sentences: Sequence[Sentence], chosen: random.Random, count: int
) -> Iterator[tuple[str, UUID | None]]:
    """At most `count` questions, each a sentence without some of its rarest words, and its document."""
    frequencies = Frequencies.among([words(one.text) for one in sentences])
    for sentence in chosen.sample(list(sentences), min(count, len(sentences))):
        asked = words(sentence.text)
        rare = sorted(set(asked), key=lambda word: (-frequencies.rarity(word), word))[:TERMS]
        left_out = set(chosen.sample(rare, round(len(rare) * LEFT_OUT)))
        yield " ".join(word for word in asked if word not in left_out), sentence.document
