"""`rag-ingest load`: documents from any LangChain loader."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from ingest.commands.handing_in import BAD, Entry, Intake, follow, print_table
from ingest.commands.terminal import console, opened, progress_bar
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.settings import Settings, load_settings


def load(
    loader: Annotated[
        str, typer.Argument(help="Dotted name, such as langchain_community.document_loaders.WikipediaLoader.")
    ],
    arg: Annotated[list[str], typer.Option("--arg", help="key=value for it; a value may be JSON.")] = [],  # noqa: B006
    knowledge_base: Annotated[str, typer.Option("--knowledge-base", "-k", help="Its slug.")] = "default",
    wait: Annotated[bool, typer.Option(help="Stay until all of them can be asked.")] = True,
) -> None:
    """Add what a LangChain document loader gives; its metadata become the documents' attributes.

    The loader's code runs with this command's rights: name only what you trust.
    """
    from ingest.connectors import make_loader, parse_arguments

    settings = load_settings().connected()
    made = make_loader(loader, parse_arguments(arg))
    entries = asyncio.run(_load(settings, made, knowledge_base, wait=wait))
    if not entries:
        console.print("Nothing to add: the loader gives nothing.")
        return
    print_table(entries)
    if any(entry.outcome in BAD for entry in entries):
        raise typer.Exit(1)


async def _load(settings: Settings, loader: Any, slug: str, *, wait: bool) -> list[Entry]:
    from ingest.connectors import load_all

    entries: list[Entry] = []
    async with opened(settings) as database:
        with progress_bar() as bar:
            async with database.transaction() as session:
                base = await KnowledgeBases(session).by_slug(slug)
            intake = Intake(settings, database, base)
            task = bar.add_task("Handing in", total=None)
            coming = load_all(loader)
            while (loaded := await asyncio.to_thread(next, coming, None)) is not None:
                entry = Entry(loaded.name)
                entries.append(entry)
                await intake.take(entry, _bytes(loaded.text), loaded.attributes)
                bar.advance(task)
            if wait:
                await follow(database, entries, bar)
    return entries


async def _bytes(text: str) -> AsyncIterator[bytes]:
    yield text.encode(errors="replace")
