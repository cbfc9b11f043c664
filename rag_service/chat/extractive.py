"""Answering without a language model: the best sentences of the documents, quoted, and said to be quoted."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, takewhile

import regex

from rag_service.chat.events import Citation, Delta, Source
from rag_service.chat.expectation import fit
from rag_service.chat.quotable import as_inline, asks_for_code, parts, quotable
from rag_service.db.models import EXTRACTIVE
from rag_service.knowledge.coverage import Frequencies, Question, Terms, roots
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.refusal import familiarity
from rag_service.knowledge.sentences import words

NAME = EXTRACTIVE

CHUNKS = 5
SENTENCES = 2
TOPICS = 3
EMBEDDED = 8
"""Sentences that are embedded at most, since that is what takes the time."""

WEIGHT_OF_SOURCE = 1.5
WEIGHT_OF_PAIR = 0.5
WEIGHT_OF_SENTENCE = 1.0
WEIGHT_OF_TEXT_SO_FAR = 0.53
WEIGHT_OF_FIT = 0.18
WEIGHT_OF_MEANING = 2.2
"""Fitted to which sentences hold the answer, in squad, tydiqa and xquad, each language weighing alike. Of squad's
questions .90 are answered by two sentences and of Hindi's .90; with .6 for a sentence's words, .89 and .87."""

MARGIN = 1.1
"""How far below the best sentence's score another may be to be quoted with it."""

_LEAD = {"en": "Quoted from the documents:", "bn": "নথি থেকে উদ্ধৃত:"}
_NOT_FOUND = {
    "en": "I found nothing in the documents that answers this question.",
    "bn": "এই প্রশ্নের উত্তর নথিগুলোতে পাওয়া যায়নি।",
}
_NEAREST = {
    "en": "The nearest topics in the documents:",
    "bn": "নথিগুলোতে সবচেয়ে কাছাকাছি বিষয়:",
}


@dataclass(frozen=True)
class Quote:
    """A sentence of a source: `source.text[start:end]`."""

    source: Source
    start: int
    end: int
    score: float
    is_code: bool = False


def language_of(text: str) -> str:
    """The language that our own few sentences are said in: `bn` for Bangla script, else `en`."""
    letters = regex.findall(r"\p{L}", text)
    bangla = regex.findall(r"\p{Bengali}", text)
    return "bn" if len(bangla) * 2 > len(letters) else "en"


def not_found(question: str) -> str:
    """The sentence that says that the documents hold no answer, in the question's language."""
    return _NOT_FOUND[language_of(question)]


def nearest_topics(question: str, sources: Sequence[Source]) -> str:
    """What is said behind a refusal: the places in the documents that are nearest to the question, at most three.

    Empty where there are none.
    """
    places = dict.fromkeys(_place(source) for source in sources)
    named = [f"- {place}" for place in islice(filter(None, places), TOPICS)]
    return "\n\n" + "\n".join([_NEAREST[language_of(question)], *named]) if named else ""


def _place(source: Source) -> str:
    """A document's title and the nearest heading, on one line and with nothing that Markdown would read as a link."""
    names = dict.fromkeys([source.title, *source.headings[-1:]])
    return " › ".join(filter(None, (re.sub(r"[\s\[\]<>|`*_#!]+", " ", name).strip()[:80] for name in names)))


async def best_sentences(
    question: str,
    sources: Sequence[Source],
    embedder: Embedder,
    frequencies: Frequencies | None = None,
    *,
    terms: Terms = words,
) -> list[Quote]:
    """The sentences that answer the question best, in order of the sources and their text.

    All are ranked by what costs nothing: their source's score, the question's words in them, in the sentence before
    and in the text up to them, and whether they have a number or a name where the question asks for one. Code is left
    out unless it is asked for or there is nothing else. Only the best of these are embedded, and not even they where
    the model does not know the language. `frequencies` are those of the question's terms in the collection.
    """
    candidates = _ranked(question, sources[:CHUNKS], frequencies, terms)
    if not candidates:
        return []
    candidates = candidates[:EMBEDDED]
    if familiar := familiarity(question, embedder):
        candidates = await _by_meaning(question, candidates, embedder, familiar)
    chosen = [one for one in candidates[:SENTENCES] if one.score >= candidates[0].score - MARGIN]
    return sorted(chosen, key=lambda quote: (quote.source.number, quote.start))


def _ranked(
    question: str, sources: Sequence[Source], frequencies: Frequencies | None, terms: Terms
) -> list[Quote]:
    """Every sentence that may be quoted, the best first, each once."""
    cut = [parts(source.text) for source in sources]
    spans = [sentences for sentences, _ in cut]
    inside = [
        [terms(source.text[start:end]) for start, end in sentences]
        for source, sentences in zip(sources, spans, strict=True)
    ]
    above = [terms(" ".join([*source.headings, source.context])) for source in sources]
    whole = Frequencies.among([list(chain(top, *rest)) for top, rest in zip(above, inside, strict=True)])
    everywhere = Question.of(question, frequencies or whole, terms)
    here = Question.of(question, Frequencies.among([one for rest in inside for one in rest]), terms)
    quotes: list[Quote] = []
    best = max((source.score for source in sources), default=0.0)
    for source, (sentences, code), heading, rest in zip(sources, cut, above, inside, strict=True):
        may_answer = set(quotable(source.text, sentences))
        before: set[str] = set()
        so_far = roots(heading)
        for (start, end), bag in zip(sentences, map(roots, rest), strict=True):
            so_far |= bag
            if (start, end) in may_answer:
                score = (
                    WEIGHT_OF_SOURCE * (source.score / best if best > 0 else 0.0)
                    + WEIGHT_OF_PAIR * everywhere.share_in(bag | before)
                    + WEIGHT_OF_SENTENCE * here.share_in(bag)
                    + WEIGHT_OF_TEXT_SO_FAR * everywhere.share_in(so_far)
                    + WEIGHT_OF_FIT * fit(question, source.text[start:end])
                )
                quotes.append(Quote(source, start, end, score, is_code=(start, end) in code))
            before = bag
    if not asks_for_code(question):
        quotes = [quote for quote in quotes if not quote.is_code] or quotes
    return _distinct(sorted(quotes, key=lambda quote: -quote.score))


async def _by_meaning(
    question: str, quotes: Sequence[Quote], embedder: Embedder, familiar: float
) -> list[Quote]:
    """The same with the cosine similarity of each to the question in its score, the best first."""
    vectors, asked = await asyncio.gather(
        embedder.embed_texts(
            [
                " ".join([*quote.source.headings, quote.source.text[quote.start : quote.end]])
                for quote in quotes
            ]
        ),
        embedder.embed_question(question),
    )
    scored = [
        replace(quote, score=quote.score + WEIGHT_OF_MEANING * familiar * float(near))
        for quote, near in zip(quotes, vectors @ asked, strict=True)
    ]
    return sorted(scored, key=lambda quote: -quote.score)


def _distinct(quotes: Sequence[Quote]) -> list[Quote]:
    kept: dict[str, Quote] = {}
    for quote in quotes:
        kept.setdefault(" ".join(words(quote.source.text[quote.start : quote.end])), quote)
    return list(kept.values())


def answer(question: str, quotes: Sequence[Quote]) -> Iterator[Delta | Citation]:
    """The answer's events: a line that says that it quotes, then each quote with its citation."""
    if not quotes:
        yield Delta(not_found(question))
        return
    lead = _LEAD[language_of(question)]
    yield Delta(lead)
    length = len(lead)
    for quote in quotes:
        text = quote.source.text[quote.start : quote.end]
        shown = _readable(quote)
        yield Delta(f"\n\n> {shown} [{quote.source.number}]")
        start = length + 4
        length = start + len(shown) + len(f" [{quote.source.number}]")
        yield Citation(
            number=quote.source.number,
            document_id=quote.source.document_id,
            chunk_id=quote.source.chunk_id,
            answer_span=(start, start + len(shown)),
            quote=text,
            source_span=(quote.start, quote.end),
            page=quote.source.page,
        )


def _readable(quote: Quote) -> str:
    """A quote on one line; the cells of a table's row under their headers, code between backticks."""
    text = quote.source.text[quote.start : quote.end]
    if quote.is_code:
        return as_inline(text)
    if not text.startswith("|"):
        return re.sub(r"\s+", " ", text)
    cells, names = _cells(text), _cells(_header(quote.source, quote.start))
    if len(cells) != len(names):
        return " · ".join(cell for cell in cells if cell)
    return " · ".join(
        f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True) if cell
    )


def _header(source: Source, start: int) -> str:
    """The header of the table whose row begins at `start`: the first of the rows right above it, or what the table
    goes on from where the text begins in the middle of it."""
    above = source.text[:start].rstrip(" \t").splitlines()
    rows = list(takewhile(lambda line: line.lstrip().startswith("|"), reversed(above)))
    if len(rows) == len(above) and source.context:
        return source.context
    return rows[-1] if rows else ""


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
