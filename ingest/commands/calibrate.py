"""`rag-ingest calibrate`: a knowledge base's refusal score, found from its own documents."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from ingest.commands.terminal import console, opened, progress_bar
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.knowledge import refusal
from rag_service.knowledge.calibration import (
    QUESTIONS,
    Calibration,
    Judge,
    Sentence,
    check_size,
    find_score,
    is_divided,
    usable,
)
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.fusion import ENOUGH
from rag_service.knowledge.lexical import TantivyIndex
from rag_service.knowledge.lexical_follower import LexicalFollower
from rag_service.knowledge.retriever import Retrieval, Retriever
from rag_service.settings import Settings, load_settings

CHUNKS_READ = 1000
FOUND = 40
"""Chunks that are looked for where those of one document are to be left out of them."""


def calibrate(
    knowledge_base: Annotated[str, typer.Option("--knowledge-base", "-k", help="Its slug.")] = "default",
    questions: Annotated[int, typer.Option(min=20, max=2000, help="Asked of each kind.")] = QUESTIONS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find the score, and do not set it.")] = False,
) -> None:
    """Set how sure a knowledge base must be to answer, from its own documents: nobody has to label questions.

    Worth doing once its documents are in, and again after a change of the embedding model.
    """
    settings = load_settings().connected()
    found, before = asyncio.run(_calibrate(settings, knowledge_base, questions, dry_run=dry_run))
    console.print(
        f"{found.covered} questions made of its own sentences, of which {found.false_refusals:.1%} would be refused."
    )
    if found.refusals is None:
        console.print("No other documents are here to make questions of that it should refuse.")
    else:
        console.print(
            f"{found.uncovered} that it should refuse, made by leaving out the document that answers or of other "
            f"documents, of which {found.refusals:.1%} would be refused."
        )
    console.print(
        f"The refusal score of {knowledge_base!r} "
        + (f"would be {found.score:g}" if dry_run else f"is now {found.score:g}")
        + f"; it was {before:g}.",
        highlight=False,
    )


async def _calibrate(
    settings: Settings, slug: str, questions: int, *, dry_run: bool
) -> tuple[Calibration, float]:
    from rag_service.knowledge.embeddings import load_embedder
    from rag_service.knowledge.vectors import ChromaIndex

    assert settings.chroma_url  # noqa: S101 - connected() promises it
    async with opened(settings) as database:
        base, own, others = await sentences(settings, database, slug)
        embedder = await asyncio.to_thread(load_embedder, settings)
        async with _lexical(database) as lexical:
            retriever = Retriever(database, ChromaIndex(settings.chroma_url), embedder, lexical)
            with progress_bar() as bar:
                count = min(questions, len(own)) + min(questions, len(own if is_divided(own) else others))
                asking = bar.add_task("Asking", total=count)
                judge = judge_of(
                    base, retriever, embedder, settings.retrieve_chunks, lambda: bar.advance(asking)
                )
                found = await find_score(
                    own,
                    others,
                    judge,
                    trust=_trust(own, embedder),
                    usual=settings.refusal_score,
                    questions=questions,
                )
        before = settings.refusal_score if base.refusal_score is None else base.refusal_score
        if not dry_run:
            async with database.transaction() as session:
                await KnowledgeBases(session).change(slug, {"refusal_score": found.score})
    return found, before


@asynccontextmanager
async def _lexical(database: Database) -> AsyncIterator[TantivyIndex]:
    """A lexical index of this command's own: those of the api's processes are locked by them."""
    with tempfile.TemporaryDirectory(prefix="rag-calibrate-") as folder:
        index = TantivyIndex(Path(folder))
        try:
            with console.status("Indexing…"):
                follower = LexicalFollower(database, index)
                while await follower.round():
                    pass
            yield index
        finally:
            await index.close()


async def sentences(
    settings: Settings, database: Database, slug: str
) -> tuple[KnowledgeBase, list[Sentence], list[Sentence]]:
    """A knowledge base, usable sentences of it, and others of the rest: of the sample documents where there is no
    rest.

    Raises:
        NotFound: there is no such knowledge base.
        InvalidInput: it is too small.
    """
    async with database.transaction() as session:
        base = await KnowledgeBases(session).by_slug(slug)
        own = usable(await Chunks(session).sample(CHUNKS_READ, of=base.id))
        others = usable(await Chunks(session).sample(CHUNKS_READ, outside=base.id))
    check_size(own)
    known = {one.text for one in own}
    return base, own, [one for one in others or usable(_sample(settings.sample_dir)) if one.text not in known]


def _sample(folder: Path) -> list[tuple[UUID | None, str]]:
    """The sample documents that are plain text."""
    paths = sorted([*folder.glob("*.md"), *folder.glob("*.txt")])
    return [(None, path.read_text(encoding="utf-8")) for path in paths]


def _trust(own: Sequence[Sentence], embedder: Embedder) -> float:
    """How far similarities tell in the language of most of these, 0 to 1."""
    some = own[:QUESTIONS]
    return sum(refusal.trust(one.text, embedder) for one in some) / len(some)


def judge_of(
    base: KnowledgeBase, retriever: Retriever, embedder: Embedder, limit: int, told: Callable[[], None]
) -> Judge:
    """Asks as a turn of a conversation would; `told` is called behind each question."""

    async def judge(question: str, without: UUID | None) -> float:
        found = await retriever.retrieve(question, base.id, limit=FOUND if without else limit)
        if without:
            found = _left(found, without, limit)
        likely, _ = refusal.judged(question, found, embedder)
        told()
        return max(0.0, likely)

    return judge


def _left(found: Retrieval, without: UUID, limit: int) -> Retrieval:
    """What would have been found if one document were not there."""
    hits = sorted(
        (hit for hit in found.all if hit.source.document_id != without), key=lambda hit: -hit.found.fused
    )
    crowd = [hit for hit in hits if hit.left_out != "folded"][:ENOUGH]
    return replace(found, hits=hits[:limit], crowd=crowd)
