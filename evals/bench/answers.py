"""`python -m evals.bench.answers --collection DIR`: how well is refused what is not there, and quoted what is.

DIR is a question-answering collection as BEIR has them: `corpus.jsonl` {_id, title, text}, where `_id` is
`document::number` (or else passages of one title are a document), `queries.jsonl` {_id, text, metadata: {answers}}, and
`qrels/test.tsv`. A folder named after a language is read in it. The product's own terms, embedder, fusion, refusal and
quoting are measured.
"""

import argparse
import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import numpy as np
from rich.console import Console
from rich.progress import track

from evals.bench.retrieval import BM25, language_of, top
from rag_service.chat import extractive
from rag_service.chat.events import Source
from rag_service.db.repositories.read_back import FoundChunk, ReadableChunk
from rag_service.knowledge import refusal
from rag_service.knowledge.calibration import QUESTIONS, Sentence, find_score, usable
from rag_service.knowledge.coverage import Frequencies, Terms
from rag_service.knowledge.embeddings import Embedder, Vectors, load_embedder
from rag_service.knowledge.fusion import ENOUGH, WEIGHT, Fused, dense_weight, fuse, most_possible
from rag_service.knowledge.pairs import bonus, pairs_of
from rag_service.knowledge.retriever import Retrieval
from rag_service.knowledge.selection import Hit
from rag_service.knowledge.terms import terms_in
from rag_service.settings import Settings

FALSE_REFUSALS = 0.05
CHUNKS = 5
FOUND = 40
"""Chunks that are looked for where those of one document are to be left out, as `rag-ingest calibrate` does."""

console = Console()


@dataclass(frozen=True)
class Asked:
    text: str
    answers: Sequence[str]
    document: str


class Library:
    """Passages that are loaded, and what is found in them."""

    def __init__(
        self, places: Sequence[int], passages: Sequence[dict[str, str]], vectors: Vectors, cut: Terms
    ) -> None:
        self._cut = cut
        self._passages = [passages[place] for place in places]
        self._vectors = vectors[list(places)]
        self._lexical = BM25([cut(f"{one['title']}\n{one['text']}") for one in self._passages])

    def find(
        self, question: str, vector: Vectors, embedder: Embedder, without: UUID | None = None
    ) -> Retrieval:
        """The best passages for a question; as if one document were not there, where it is named."""
        words = Counter(self._cut(question))
        cosines = self._vectors @ vector
        near, told = top(cosines), self._lexical.search(words)
        pieces = embedder.pieces_a_letter(question)
        possible = most_possible(words, self._lexical.chunks, self._lexical.frequencies)
        found = fuse(
            near,
            told,
            weight=WEIGHT if pieces is None else dense_weight(pieces),
            possible=possible,
            cosines={one: float(cosines[one.int]) for one, _ in told},
        )
        if without:
            found = [one for one in found[:FOUND] if self._readable(one.chunk_id).document_id != without]
        pairs = pairs_of(question)
        read = [self._with_pairs(one, pairs) for one in found[:ENOUGH]]
        ranked = sorted(read, key=lambda hit: -hit.found.fused)
        return Retrieval(
            ranked[:CHUNKS],
            terms=self._cut,
            frequencies=Frequencies(self._lexical.chunks, self._lexical.frequencies),
            crowd=ranked,
        )

    def _with_pairs(self, found: Fused, pairs: frozenset[tuple[str, str]]) -> Hit:
        source = self._readable(found.chunk_id)
        given = bonus(pairs, source.title, source.chunk.text)
        return Hit(source, found._replace(fused=found.fused + given))

    def _readable(self, chunk_id: UUID) -> ReadableChunk:
        passage = self._passages[chunk_id.int]
        chunk = FoundChunk(chunk_id, chunk_id, 0, passage["text"], [passage["title"]], "", None)
        return ReadableChunk(chunk, _id_of(passage), passage["title"], passage["title"])

    def sentences(self) -> list[Sentence]:
        return usable([(_id_of(passage), passage["text"]) for passage in self._passages])


async def measure(folder: Path, most: int) -> dict[str, Any]:
    passages, asked = _read(folder)
    asked = random.Random(0).sample(asked, min(most, len(asked)))
    embedder = load_embedder(Settings())
    cut = terms_in(language_of(folder))
    vectors = await embedder.embed_texts([f"{one['title']}\n{one['text']}" for one in passages])
    questions = np.stack([await embedder.embed_question(one.text) for one in track(asked, "Embedding")])
    return {
        "refusal": await _refusals(passages, vectors, asked, questions, embedder, cut),
        "quotes": await _quotes(
            Library(range(len(passages)), passages, vectors, cut), asked, questions, embedder
        ),
    }


def _read(folder: Path) -> tuple[list[dict[str, str]], list[Asked]]:
    passages = [{**one, "title": one.get("title") or ""} for one in _lines(folder / "corpus.jsonl")]
    rows = (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]
    names = {one["_id"]: _document(one) for one in passages}
    documents = {question: names[passage] for question, passage, _ in (row.split("\t") for row in rows)}
    asked = [
        Asked(one["text"], one["metadata"]["answers"], documents[one["_id"]])
        for one in _lines(folder / "queries.jsonl")
        if one["_id"] in documents
    ]
    return passages, asked


def _document(passage: dict[str, str]) -> str:
    """The document that a passage is of: by its id, its title, or else of its own."""
    document, divided, _ = passage["_id"].partition("::")
    return document if divided else passage["title"] or passage["_id"]


def _id_of(passage: dict[str, str]) -> UUID:
    return uuid5(NAMESPACE_OID, _document(passage))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in path.read_text().splitlines() if line.strip())


async def _refusals(
    passages: Sequence[dict[str, str]],
    vectors: Vectors,
    asked: Sequence[Asked],
    questions: Vectors,
    embedder: Embedder,
    cut: Terms,
) -> dict[str, Any]:
    """Half of the documents are loaded, and all are asked about; twice, so that each half is once the one loaded."""
    documents = sorted({_document(one) for one in passages})
    random.Random(1).shuffle(documents)
    halves = documents[::2], documents[1::2]
    figures: dict[str, Any] = {}
    for name, half in zip(("first_half", "second_half"), halves, strict=True):
        loaded = set(half)
        places = [at for at, one in enumerate(passages) if _document(one) in loaded]
        library = Library(places, passages, vectors, cut)
        covered: list[float] = []
        uncovered: list[float] = []
        for one, vector in zip(asked, questions, strict=True):
            likely, _ = refusal.judged(one.text, library.find(one.text, vector, embedder), embedder)
            (covered if one.document in loaded else uncovered).append(likely)
        limit = float(np.quantile(covered, FALSE_REFUSALS))
        default = Settings().refusal_score
        calibrated = await _calibrated(library, embedder)
        figures[name] = {
            "score_at_5_percent_false_refusals": round(limit, 3),
            "refused_there": _below(uncovered, limit),
            "refused_at_default": _below(uncovered, default),
            "false_at_default": _below(covered, default),
            "calibrated_score": calibrated,
            "refused_when_calibrated": _below(uncovered, calibrated),
            "false_when_calibrated": _below(covered, calibrated),
        }
    return figures


async def _calibrated(library: Library, embedder: Embedder) -> float:
    """The score that `rag-ingest calibrate` would set."""
    own = library.sentences()

    async def judge(question: str, without: UUID | None) -> float:
        found = library.find(question, await embedder.embed_question(question), embedder, without)
        return max(0.0, refusal.judged(question, found, embedder)[0])

    trust = float(np.mean([refusal.trust(one.text, embedder) for one in own[:QUESTIONS]]))
    return (await find_score(own, [], judge, trust=trust)).score


def _below(likely: Sequence[float], limit: float) -> float:
    return round(float(np.mean(np.array(likely) < limit)), 3)


async def _quotes(
    library: Library, asked: Sequence[Asked], questions: Vectors, embedder: Embedder
) -> dict[str, Any]:
    """Share of the questions whose answer stands in what is quoted, and in the chunks that it is quoted from."""
    quoted = found = sentences = 0
    for one, vector in track(list(zip(asked, questions, strict=True)), "Quoting"):
        retrieval = library.find(one.text, vector, embedder)
        sources = [
            Source(
                number=number,
                document_id=hit.source.document_id,
                chunk_id=hit.source.chunk.id,
                filename=hit.source.filename,
                title=hit.source.title,
                headings=hit.source.chunk.headings,
                page=None,
                score=hit.found.fused,
                text=hit.source.chunk.text,
            )
            for number, hit in enumerate(retrieval.hits, 1)
        ]
        quotes = await extractive.best_sentences(
            one.text, sources, embedder, retrieval.frequencies, terms=retrieval.terms
        )
        sentences += len(quotes)
        quoted += _holds(one, [quote.source.text[quote.start : quote.end] for quote in quotes])
        found += _holds(one, [source.text for source in sources])
    return {
        "answer_in_quotes": round(quoted / len(asked), 3),
        "answer_in_chunks": round(found / len(asked), 3),
        "sentences": round(sentences / len(asked), 2),
    }


def _holds(one: Asked, texts: Sequence[str]) -> bool:
    return any(answer in text for answer in one.answers for text in texts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.answers", description=__doc__)
    parser.add_argument("--collection", type=Path, required=True, metavar="DIR")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("answers.json"))
    options = parser.parse_args()
    if not (options.collection / "corpus.jsonl").is_file():
        parser.error(f"there is no corpus.jsonl in {options.collection}")
    figures = asyncio.run(measure(options.collection, options.questions))
    console.print_json(data=figures)
    options.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
