"""`rag-ingest reindex`: a knowledge base's vectors anew, while questions are answered."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ingest.commands.terminal import console, opened, progress_bar
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.consistency import Consistency
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.settings import Settings, load_settings


def reindex(
    knowledge_base: Annotated[str, typer.Option("--knowledge-base", "-k", help="Its slug.")] = "default",
    every: Annotated[bool, typer.Option("--all", help="Every knowledge base.")] = False,
) -> None:
    """Rebuild the vector index from what is stored; change over to RAG_EMBEDDING_MODEL where it is another.

    Questions are answered all the while. Killed and run again, it goes on where it was. After a change of model
    processes that still run with the one before go on answering from its vectors: restart them with the new one,
    then run this (or `rag doctor --repair`) once more to drop what they needed.
    """
    console.print(asyncio.run(_reindex(load_settings().connected(), None if every else knowledge_base)))


async def _reindex(settings: Settings, slug: str | None) -> Table:
    from ingest.reindexing import Reindexing
    from rag_service.knowledge.embeddings import load_embedder
    from rag_service.knowledge.vectors import ChromaIndex

    assert settings.chroma_url  # noqa: S101 - connected() promises it
    table = Table("Knowledge base", "Outcome", "Chunks", "Model")
    async with opened(settings) as database:
        async with database.transaction() as session:
            bases = (
                await Consistency(session).living()
                if slug is None
                else [await KnowledgeBases(session).by_slug(slug)]
            )
        embedder = await asyncio.to_thread(load_embedder, settings)
        with progress_bar() as bar:

            def watch(what: str, total: int | None) -> Callable[[int], None]:
                task = bar.add_task(what, total=total)
                return lambda count: bar.advance(task, count)

            work = Reindexing(database, ChromaIndex(settings.chroma_url), embedder, watch)
            for base in bases:
                outcome = await work.run(base)
                async with database.transaction() as session:
                    chunks = await Chunks(session).count(base.id)
                table.add_row(base.slug, f"[green]{outcome}[/]", str(chunks), escape(embedder.fingerprint))
    return table
