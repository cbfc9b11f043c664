"""Answering without a language model: the best sentences of the documents, quoted, and said to be quoted."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest

import regex

from rag_service.chat.events import Citation, Delta, Source
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.sentences import sentence_spans, words

NAME = "extractive"
"""What stands in the place of a model's name."""

CHUNKS = 5
SENTENCES = 2
SECOND_BEST = 0.8
"""Share of the best sentence's score that another must reach to be quoted with it."""

_LEAD = {"en": "Quoted from the documents:", "bn": "নথি থেকে উদ্ধৃত:"}
_NOT_FOUND = {
    "en": "I found nothing in the documents that answers this question.",
    "bn": "এই প্রশ্নের উত্তর নথিগুলোতে পাওয়া যায়নি।",
}
_TABLE_RULE = re.compile(r"^\|?[\s:|-]+\|?$")


@dataclass(frozen=True)
class Quote:
    """A sentence of a source: `source.text[start:end]`."""

    source: Source
    start: int
    end: int
    score: float


def language_of(text: str) -> str:
    """The language that our own few sentences are said in: `bn` for Bangla script, else `en`."""
    letters = regex.findall(r"\p{L}", text)
    bangla = regex.findall(r"\p{Bengali}", text)
    return "bn" if len(bangla) * 2 > len(letters) else "en"


def not_found(question: str) -> str:
    """The sentence that says that the documents hold no answer, in the question's language."""
    return _NOT_FOUND[language_of(question)]


async def best_sentences(question: str, sources: Sequence[Source], embedder: Embedder) -> list[Quote]:
    """The sentences that answer the question best, in order of the sources and their text.

    A sentence's score is the sum of its chunk's score, its own cosine similarity to the question, and the share
    of the question's words, weighted by rarity among the candidates, that it holds.
    """
    candidates = [
        (source, start, end) for source in sources[:CHUNKS] for start, end in _quotable(source.text)
    ]
    if not candidates:
        return []
    texts = [source.text[start:end] for source, start, end in candidates]
    vectors = await embedder.embed_texts(
        [" ".join([*source.headings, text]) for (source, _, _), text in zip(candidates, texts, strict=True)]
    )
    similarity = vectors @ await embedder.embed_question(question)
    coverage = _coverage(question, texts)
    scored = [
        Quote(source, start, end, source.score + float(near) + float(covered))
        for (source, start, end), near, covered in zip(candidates, similarity, coverage, strict=True)
    ]
    scored.sort(key=lambda quote: -quote.score)
    chosen = [
        quote for quote in _distinct(scored)[:SENTENCES] if quote.score >= SECOND_BEST * scored[0].score
    ]
    return sorted(chosen, key=lambda quote: (quote.source.number, quote.start))


def _quotable(text: str) -> Iterator[tuple[int, int]]:
    """The sentences that can answer something: not a table's header or rule, not a bare number or dash."""
    spans = sentence_spans(text)
    rules = {start for start, end in spans if _TABLE_RULE.match(text[start:end])}
    for (start, end), (following, _) in zip_longest(spans, spans[1:], fillvalue=(len(text), 0)):
        if text.startswith("|", start):
            is_header = following in rules and text.startswith("|", following)
            if start not in rules and not is_header:
                yield start, end
        elif regex.search(r"\p{L}", text, pos=start, endpos=end):
            yield start, end


def _coverage(question: str, texts: Sequence[str]) -> list[float]:
    bags = [set(words(text)) for text in texts]
    frequency = Counter(word for bag in bags for word in bag)
    asked = set(words(question))
    weight = {word: math.log(1 + len(bags) / (1 + frequency[word])) for word in asked}
    total = sum(weight.values()) or 1.0
    return [sum(weight[word] for word in asked & bag) / total for bag in bags]


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
    """A quote on one line; the cells of a table's row under their headers."""
    text = quote.source.text[quote.start : quote.end]
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
