"""Whether what was found can answer a question at all: decided by measures, before any language model is asked.

A question that the documents do not cover is near to nothing, its rare words stand nowhere together, and no passage has
much more of them than many others. Five measures tell, weighed by logistic regression.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from rag_service.knowledge.coverage import Frequencies, Question, Terms, best_share, lead, roots
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.retriever import Retrieval
from rag_service.knowledge.selection import Hit
from rag_service.knowledge.sentences import sentence_spans, words

PASSAGES = 5
"""Of how many passages, best first, the measures are taken."""
USUAL_LEAD = 0.4
"""Lead of the best passage for a share of 1, where there is no lexical index to ask."""


@dataclass(frozen=True)
class Passage:
    """A chunk that was found: its text, the headings it stands under, and its cosine similarity to the question, 0
    where it is not known."""

    text: str
    similarity: float
    headings: Sequence[str] = ()

    @property
    def whole(self) -> str:
        """The text below its headings."""
        return " ".join([*self.headings, self.text])


def passages_of(hits: Sequence[Hit]) -> list[Passage]:
    """Hits as passages; the rows of a table under the header that they continue."""
    return [
        Passage("\n".join(filter(None, [chunk.context, chunk.text])), hit.found.dense or 0.0, chunk.headings)
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
    lead: float
    """How far the best passage is ahead of many in BM25 (`coverage.lead`): in a script without spaces, or where short
    words are common, nearly every passage holds a large share of every question."""
    familiarity: float
    """How far the embedding model's similarities are to be believed for the question's language: at 0 not at all."""


def signals(
    question: str,
    passages: Sequence[Passage],
    frequencies: Frequencies | None = None,
    *,
    crowd: Sequence[Passage] = (),
    familiarity: float = 1.0,
    terms: Terms = words,
) -> Signals:
    """The measures of the best passages. `frequencies` are of the question's terms in the whole collection; without
    them, rarity is taken among the passages. `crowd` are those, and more, among which a lead is looked for; without
    any it is what passages with such shares usually have."""
    # All of them only where their terms are needed for rarity.
    found = [terms(passage.whole) for passage in (passages[:PASSAGES] if frequencies else passages)]
    asked = Question.of(question, frequencies or Frequencies.among(found), terms)
    passages, bags = passages[:PASSAGES], list(map(roots, found[:PASSAGES]))
    shares = [asked.share_in(bag) for bag in bags]
    fullest = max(range(len(bags)), key=lambda at: shares[at], default=None)
    share = max(shares, default=0.0)
    return Signals(
        similarity=max((passage.similarity for passage in passages), default=0.0),
        backing=0.0 if fullest is None else passages[fullest].similarity,
        passage_share=share,
        sentence_share=_best_sentence(asked, passages, shares, terms),
        lead=lead(question, [terms(one.whole) for one in crowd], frequencies, terms)
        if crowd and frequencies
        else USUAL_LEAD * share,
        familiarity=familiarity,
    )


def _best_sentence(
    asked: Question, passages: Sequence[Passage], shares: Sequence[float], terms: Terms
) -> float:
    """The largest share of the question that a sentence holds; none holds more than all of its passage."""
    best = 0.0
    for at in sorted(range(len(passages)), key=lambda at: -shares[at]):
        if shares[at] <= best:
            break
        text = passages[at].text
        sentences = (roots(terms(text[start:end])) for start, end in sentence_spans(text))
        best = max(best, best_share(asked, sentences))
    return best


def judged(question: str, found: Retrieval, embedder: Embedder) -> tuple[float, Signals]:
    """How likely it is that what was found answers the question, and what that rests on; below 0 where nothing was."""
    known = any(hit.found.dense is not None for hit in found.hits)
    trusted = trust(question, embedder) if known else 0.0
    measured = signals(
        question,
        passages_of(found.hits),
        found.frequencies,
        crowd=passages_of(found.crowd) if trusted < 1 else (),  # else it counts for nothing
        familiarity=trusted,
        terms=found.terms,
    )
    return (answerable(measured) if found.hits else -math.inf), measured


def least(question: str, found: Retrieval, embedder: Embedder) -> float:
    """How likely it is at least, by the similarities alone: what `judged` adds to that is never less than nothing.

    Of most questions that the documents cover this is enough to be answered, and their passages need not be read.
    Below 0 where nothing was found.
    """
    if not found.hits:
        return -math.inf
    known = any(hit.found.dense is not None for hit in found.hits)
    similar = [hit.found.dense or 0.0 for hit in found.hits]
    return answerable(
        Signals(
            similarity=max(similar),
            backing=min(similar[:PASSAGES]),
            passage_share=0.0,
            sentence_share=0.0,
            lead=0.0,
            familiarity=trust(question, embedder) if known else 0.0,
        )
    )


def answerable(measured: Signals) -> float:
    """How likely it is that the passages answer the question, 0 to 1.

    Two regressions, mixed by how well the embedding model knows the question's language: one with its similarities,
    fitted to one half of squad, and one for languages that it does not know, fitted to xquad and tydiqa with a half and
    a seventh of the articles loaded, also among documents in English. At .3 neither refuses more than one in twenty of
    the covered questions in any of twelve languages but Chinese (.054), and most do far fewer: who asks in other words
    than the documents' has far lower shares than squad's questions have. `calibration` finds a limit for a collection.
    """
    with_similarity = (
        10.4 * measured.similarity
        + 4.0 * measured.backing
        + 3.6 * measured.passage_share
        + 3.3 * measured.sentence_share
        - 7.7
    )
    by_words = 2.2 * measured.sentence_share + 20.9 * measured.lead - 3.9
    mixed = measured.familiarity * with_similarity + (1 - measured.familiarity) * by_words
    return 1 / (1 + math.exp(-mixed))


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


def trust(question: str, embedder: Embedder) -> float:
    """How far similarities tell covered questions from others, 0 to 1.

    That takes more than familiarity: of Spanish and Finnish the built-in model knows enough to find passages by, yet
    its similarities are high for whatever is asked.
    """
    pieces = embedder.pieces_a_letter(question)
    letters = len(regex.findall(_LETTER, question))
    spare = letters - len(
        words(question)
    )  # letters that need not begin a piece: all but the first of each word
    if pieces is None or spare <= 0:
        return familiarity(question, embedder)
    cuts = (pieces * letters - len(words(question))) / spare
    known, foreign = _TRUSTED_RANGE
    return min(familiarity(question, embedder), max(0.0, (foreign - cuts) / (foreign - known)))


_TRUSTED_RANGE = (0.15, 0.25)
"""Of the letters inside words, the share that begins a piece: English has .05, Spanish and German .2 to .25."""
