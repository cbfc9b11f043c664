"""`python -m evals.bench.retrieval --datasets DIR`: how well the right passages are found on public test collections.

DIR has folders as BEIR has them, at any depth: `corpus.jsonl` {_id, title, text}, `queries.jsonl` {_id, text}, and
`qrels/test.tsv`. A file `rewrites.jsonl` {id, history: [{speaker, text}]} in a folder above gives the questions that
were asked before. A folder named after a language (xquad/de, tydiqa/bengali) is read in that language. The product's
own terms, embedder and fusion are measured, with BM25 as tantivy has it; nDCG@10 beside each side alone, reciprocal
rank fusion, and a convex combination at a fixed weight.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from evals.metrics import ndcg
from rag_service.knowledge import follow_ups
from rag_service.knowledge.embeddings import Embedder, Vectors, load_embedder
from rag_service.knowledge.fusion import (
    CANDIDATES,
    ENOUGH,
    K1,
    B,
    Fused,
    agreement_weight,
    dense_weight,
    fuse,
    idf,
    most_possible,
)
from rag_service.knowledge.pairs import bonus, pairs_of
from rag_service.knowledge.terms import terms
from rag_service.settings import Settings

RRF = 60
DEPTH = 10
LANGUAGES = {"english": "en", "finnish": "fi", "bengali": "bn", "arabic": "ar"}
METHODS = ("dense", "bm25", "rrf", "convex", "fused", "by agreement")

console = Console()
Hits = list[tuple[UUID, float]]


@dataclass(frozen=True)
class Question:
    """A question, those asked before it (oldest first), and the gain of each passage that answers it."""

    text: str
    before: Sequence[str]
    gains: Mapping[UUID, float]


@dataclass(frozen=True)
class Collection:
    name: str
    language: str | None
    passages: Sequence[str]
    questions: Sequence[Question]


class BM25:
    """Over passages that are numbered by `UUID(int=place)`."""

    def __init__(self, passages: Sequence[Sequence[str]]) -> None:
        self.chunks = len(passages)
        lengths = np.array([len(passage) for passage in passages], dtype=np.float64)
        self._norm = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
        places: dict[str, list[tuple[int, int]]] = {}
        for place, passage in enumerate(passages):
            for term, times in Counter(passage).items():
                places.setdefault(term, []).append((place, times))
        self._places = {term: np.array(found) for term, found in places.items()}
        self.frequencies = {term: len(found) for term, found in places.items()}

    def search(self, asked: Mapping[str, float]) -> Hits:
        scores = np.zeros(self.chunks)
        for term, weight in asked.items():
            if (found := self._places.get(term)) is not None:
                at, times = found[:, 0], found[:, 1]
                scores[at] += (
                    weight * idf(self.chunks, len(found)) * times * (K1 + 1) / (times + self._norm[at])
                )
        return [hit for hit in top(scores) if hit[1] > 0]


def top(scores: NDArray[Any]) -> Hits:
    return [(UUID(int=int(at)), float(scores[at])) for at in np.argsort(-scores, kind="stable")[:CANDIDATES]]


def collections(folder: Path, most: int) -> Iterator[Collection]:
    """Those below `folder`, each with at most so many questions, drawn by lot but always the same."""
    for corpus in sorted(folder.rglob("corpus.jsonl")):
        yield _read(corpus.parent, str(corpus.parent.relative_to(folder)), most)


def _read(folder: Path, name: str, most: int) -> Collection:
    passages = _lines(folder / "corpus.jsonl")
    place = {passage["_id"]: UUID(int=number) for number, passage in enumerate(passages)}
    gains: dict[str, dict[UUID, float]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        question, passage, gain = line.split("\t")
        if float(gain) > 0 and passage in place:
            gains.setdefault(question, {})[place[passage]] = float(gain)
    before = _before(folder)
    questions = [
        Question(asked["text"], before.get(asked["_id"], ()), gains[asked["_id"]])
        for asked in _lines(folder / "queries.jsonl")
        if asked["_id"] in gains
    ]
    if len(questions) > most:
        questions = random.Random(0).sample(questions, most)
    texts = [f"{passage.get('title') or ''}\n{passage['text']}".strip() for passage in passages]
    return Collection(name, language_of(folder), texts, questions)


def language_of(folder: Path) -> str | None:
    """The language that a collection's folder is named after."""
    return LANGUAGES.get(folder.name) or (folder.name if len(folder.name) == 2 else None)


def _before(folder: Path) -> dict[str, list[str]]:
    found = next(
        (above / "rewrites.jsonl" for above in folder.parents if (above / "rewrites.jsonl").exists()), None
    )
    if found is None or folder.name.endswith("rewrite"):  # rewritten questions stand alone
        return {}
    return {
        line["id"]: [turn["text"] for turn in line["history"] if turn["speaker"] == "user"]
        for line in _lines(found)
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


@dataclass
class Score:
    """nDCG@10 by method, summed over questions; milliseconds that the fusion of one takes."""

    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    questions: int = 0
    seconds: float = 0.0

    def add(self, method: str, order: Sequence[UUID], gains: Mapping[UUID, float]) -> None:
        self.sums[method] += (
            ndcg([gains.get(found, 0.0) for found in order], list(gains.values()), DEPTH) or 0.0
        )

    def means(self) -> dict[str, Any]:
        means = {method: round(total / self.questions, 4) for method, total in self.sums.items()}
        return {
            **means,
            "questions": self.questions,
            "fusion_ms": round(1000 * self.seconds / self.questions, 3),
        }


def measure(
    collection: Collection, vectors: Vectors, asked: Mapping[str, Vectors], embedder: Embedder
) -> dict[str, Any]:
    """All methods on one collection; `asked` has the vector of each question, earlier ones included."""
    lexical = BM25([terms(passage, collection.language) for passage in collection.passages])
    score = Score()
    for question in collection.questions:
        words = Counter(terms(question.text, collection.language))
        cosines = vectors @ asked[question.text]
        near, told = top(cosines), lexical.search(words)
        score.questions += 1
        score.add("dense", [found for found, _ in near], question.gains)
        score.add("bm25", [found for found, _ in told], question.gains)
        score.add("rrf", _by_rank(near, told), question.gains)
        score.add("convex", _convex(near, told), question.gains)
        pieces = embedder.pieces_a_letter(question.text)
        known = {found: float(cosines[found.int]) for found, _ in told}
        by_agreement = agreement_weight(near, told)
        for method, weight in (
            ("by agreement", by_agreement),
            ("fused", by_agreement if pieces is None else dense_weight(pieces)),
        ):
            started = time.perf_counter()
            possible = most_possible(words, lexical.chunks, lexical.frequencies)
            fused = fuse(near, told, weight=weight, possible=possible, cosines=known)
            order = _with_pairs(question.text, fused, collection)
            score.seconds += (time.perf_counter() - started) / 2
            score.add(method, order, question.gains)
        _with_history(question, collection, lexical, vectors, asked, pieces, score)
    return score.means()


def _with_history(
    question: Question,
    collection: Collection,
    lexical: BM25,
    vectors: Vectors,
    asked: Mapping[str, Vectors],
    pieces: float | None,
    score: Score,
) -> None:
    own = terms(question.text, collection.language)
    before = [terms(earlier, collection.language) for earlier in question.before]
    needed = follow_ups.need(own, lexical.chunks, lexical.frequencies)
    words = follow_ups.lent_terms(own, before, needed)
    vector = asked[question.text]
    if question.before:
        vector = follow_ups.lent_vector(vector, np.stack([asked[text] for text in question.before]), needed)
    cosines = vectors @ vector
    near, told = top(cosines), lexical.search(words)
    fused = fuse(
        near,
        told,
        weight=dense_weight(pieces) if pieces is not None else agreement_weight(near, told),
        possible=most_possible(words, lexical.chunks, lexical.frequencies),
        cosines={found: float(cosines[found.int]) for found, _ in told},
    )
    score.add("with history", _with_pairs(question.text, fused, collection), question.gains)


def _with_pairs(question: str, found: Sequence[Fused], collection: Collection) -> list[UUID]:
    """The order after a look at the texts of the best, as the product takes."""
    pairs = pairs_of(question)
    scores = {
        one.chunk_id: one.fused + bonus(pairs, "", collection.passages[one.chunk_id.int])
        for one in found[:ENOUGH]
    }
    return [*sorted(scores, key=lambda one: -scores[one]), *(one.chunk_id for one in found[ENOUGH:])]


def _by_rank(*lists: Hits) -> list[UUID]:
    scores: dict[UUID, float] = defaultdict(float)
    for hits in lists:
        for rank, (found, _) in enumerate(hits, 1):
            scores[found] += 1 / (RRF + rank)
    return sorted(scores, key=lambda found: -scores[found])


def _convex(*lists: Hits) -> list[UUID]:
    """Half of each, both stretched to 0 to 1."""
    scores: dict[UUID, float] = defaultdict(float)
    for hits in lists:
        low, high = (hits[-1][1], hits[0][1]) if hits else (0.0, 1.0)
        for found, value in hits:
            scores[found] += (value - low) / ((high - low) or 1.0) / 2
    return sorted(scores, key=lambda found: -scores[found])


async def embed(collection: Collection, embedder: Embedder) -> tuple[Vectors, dict[str, Vectors]]:
    asked = list(
        dict.fromkeys(text for question in collection.questions for text in (question.text, *question.before))
    )
    vectors = await embedder.embed_texts(collection.passages)
    questions = [
        await embedder.embed_question(text) for text in track(asked, collection.name, transient=True)
    ]
    return vectors, dict(zip(asked, questions, strict=True))


def run(folder: Path, most: int, cache: Path | None) -> dict[str, Any]:
    """The figures of every collection, by name."""
    embedder = load_embedder(Settings())
    results = {}
    for collection in collections(folder, most):
        vectors, asked = _embedded(collection, embedder, cache)
        results[collection.name] = measure(collection, vectors, asked, embedder)
    return results


def _embedded(
    collection: Collection, embedder: Embedder, cache: Path | None
) -> tuple[Vectors, dict[str, Vectors]]:
    if cache is None:
        return asyncio.run(embed(collection, embedder))
    path = cache / f"{collection.name.replace('/', '-')}-{len(collection.questions)}.npz"
    if not path.exists():
        vectors, asked = asyncio.run(embed(collection, embedder))
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, vectors=vectors, texts=np.array(list(asked)), asked=np.stack(list(asked.values())))
    with np.load(path) as stored:
        return stored["vectors"], dict(zip(stored["texts"].tolist(), stored["asked"], strict=True))


def table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = (*METHODS, "with history")
    shown = Table("collection", "questions", *columns, title="nDCG@10")
    for name, figures in results.items():
        best = max(figures[method] for method in ("dense", "bm25", "rrf", "convex"))
        cells = [f"[bold]{figures[m]:.3f}[/]" if figures[m] >= best else f"{figures[m]:.3f}" for m in columns]
        shown.add_row(name, str(figures["questions"]), *cells)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.bench.retrieval", description=__doc__)
    parser.add_argument("--datasets", type=Path, required=True, metavar="DIR")
    parser.add_argument("--questions", type=int, default=1000, help="at most so many of each collection")
    parser.add_argument("--output", type=Path, default=Path("retrieval.json"))
    parser.add_argument("--cache", type=Path, help="a folder to keep embeddings in from one run to the next")
    options = parser.parse_args()
    results = run(options.datasets, options.questions, options.cache) if options.datasets.is_dir() else {}
    if not results:
        sys.exit(
            f"There is no collection in {options.datasets}. Unpack one there, for instance from "
            "https://github.com/beir-cellar/beir: a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv."
        )
    console.print(table(results))
    options.output.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"Written to {options.output}")


if __name__ == "__main__":
    main()
