"""Whether what was found can answer a question at all: decided by measures, before any language model is asked.

A question that the documents do not cover is near to nothing, and its rare words stand nowhere together. Four measures
tell, weighed by a logistic regression that was fitted to questions on one half of a public collection.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from rag_service.knowledge.coverage import Frequencies, Question, Terms, best_share, roots
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.retriever import Hit
from rag_service.knowledge.sentences import sentence_spans, words

PASSAGES = 5
"""Of how many passages, best first, the measures are taken."""


@dataclass(frozen=True)
class Passage:
    """A chunk that was found: its text, the headings it stands under, and its cosine similarity to the question."""

    text: str
    similarity: float
    headings: Sequence[str] = ()


def passages_of(hits: Sequence[Hit]) -> list[Passage]:
    """Hits as passages; the rows of a table under the header that they continue."""
    return [
        Passage("\n".join(filter(None, [chunk.context, chunk.text])), hit.score, chunk.headings)
        for hit in hits
        for chunk in [hit.source.chunk]
    ]


@dataclass(frozen=True)
class Signals:
    """What tells whether the passages answer the question; shares are 0 to 1."""

    similarity: float
    """The best cosine similarity of a passage to the question."""
    backing: float
    """The cosine similarity of the passage that holds the largest share of the question."""
    passage_share: float
    """The largest share of the question that one passage holds, weighted by rarity."""
    sentence_share: float
    """The same of one sentence."""
    missing_names: float
    """The share of the question's names and numbers that this passage does not hold."""
    familiarity: float
    """How well the embedding model knows the question's script: at 0 its similarities say nothing."""


def signals(
    question: str,
    passages: Sequence[Passage],
    frequencies: Frequencies | None = None,
    *,
    familiarity: float = 1.0,
    terms: Terms = words,
) -> Signals:
    """The measures of the best passages. `frequencies` are of the question's terms in the whole collection; without
    them, rarity is taken among the passages."""
    found = [terms(" ".join([*passage.headings, passage.text])) for passage in passages]
    asked = Question.of(question, frequencies or Frequencies.among(found), terms)
    passages, bags = passages[:PASSAGES], list(map(roots, found[:PASSAGES]))
    shares = [asked.share_in(bag) for bag in bags]
    fullest = max(range(len(bags)), key=lambda at: shares[at], default=None)
    sentences = (
        roots(terms(passage.text[start:end]))
        for passage in passages
        for start, end in sentence_spans(passage.text)
    )
    return Signals(
        similarity=max((passage.similarity for passage in passages), default=0.0),
        backing=0.0 if fullest is None else passages[fullest].similarity,
        passage_share=max(shares, default=0.0),
        sentence_share=best_share(asked, sentences),
        missing_names=0.0 if fullest is None else _missing(names(question), bags[fullest], terms),
        familiarity=familiarity,
    )


def answerable(measured: Signals) -> float:
    """How likely it is that the passages answer the question, 0 to 1.

    Two regressions, mixed by how well the embedding model knows the question's language: one with its similarities,
    one without. At 0.5 the first refused 5 % of the covered questions and 95 % of the others. The second is set to be
    careful, since a language whose words are not stemmed shares fewer of them with the documents.
    """
    with_similarity = (
        10.57 * measured.similarity
        + 2.82 * measured.backing
        + 3.05 * measured.passage_share
        + 4.7 * measured.sentence_share
        - 1.14 * measured.missing_names
        - 9.5
    )
    by_words = 5.8 * measured.passage_share + 5.7 * measured.sentence_share - 3.6
    mixed = measured.familiarity * with_similarity + (1 - measured.familiarity) * by_words
    return 1 / (1 + math.exp(-mixed))


_TOKEN = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*")


def names(question: str) -> list[str]:
    """Words with a capital that does not begin the question, and numbers. Scripts without capitals give numbers."""
    found = [match.group() for match in _TOKEN.finditer(question)]
    return [word for at, word in enumerate(found) if word[0].isnumeric() or (at > 0 and word[0].isupper())]


def _missing(wanted: Sequence[str], bag: set[str], terms: Terms) -> float:
    missing = [word for word in wanted if not bag.issuperset(roots(terms(word)))]
    return len(missing) / len(wanted) if wanted else 0.0


_LETTER = r"[\p{L}\p{M}\p{N}]"
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_LONGEST_PIECE = 12
"""Letters. A longer piece is one that the tokenizer does not know, and reads nothing of."""


def familiarity(question: str, embedder: Embedder) -> float:
    """How well an embedding model knows the script and language of a question, 0 to 1.

    A model's tokenizer keeps common words of its languages whole, and cuts what it has not learnt to letters: English
    has one piece for four letters, and in Bangla, to a model of English, every letter is a piece of its own.
    """
    (spans,) = embedder.token_spans([question])
    letters = pieces = 0
    for start, end in spans:
        count = len(regex.findall(_LETTER, question[start:end]))
        letters += count
        pieces += min(count, 1) if count <= _LONGEST_PIECE else count
    if not letters:
        return 0.0
    known, foreign = _UNSPACED_RANGE if _UNSPACED.search(question) else _SPACED_RANGE
    return min(1.0, max(0.0, (foreign - pieces / letters) / (foreign - known)))


_SPACED_RANGE = (0.35, 0.6)
_UNSPACED_RANGE = (0.75, 0.95)
"""Pieces a letter: at the first a language is known, at the second foreign."""
