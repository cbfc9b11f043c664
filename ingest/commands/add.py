"""`rag-ingest add`: files and folders into a knowledge base."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest.commands.handing_in import BAD, Entry, follow, hand_in, print_table
from ingest.commands.terminal import console, opened, progress_bar
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.settings import Settings, load_settings


def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; folders are read to the bottom.")],
    knowledge_base: Annotated[str, typer.Option("--knowledge-base", "-k", help="Its slug.")] = "default",
    wait: Annotated[bool, typer.Option(help="Stay until all of them can be asked.")] = True,
) -> None:
    """Add files to a knowledge base; each ends as added, updated, unchanged or failed, with the reason."""
    settings = load_settings().connected()
    if missing := [path for path in paths if not path.exists()]:
        raise typer.BadParameter(f"There is no {missing[0]}.")
    files = [named for path in paths for named in files_of(path)]
    if not files:
        console.print("Nothing to add: no files there.")
        return
    entries = asyncio.run(_add(settings, files, knowledge_base, wait=wait))
    print_table(entries)
    if any(entry.outcome in BAD for entry in entries):
        raise typer.Exit(1)


def files_of(path: Path) -> Iterator[tuple[Path, str]]:
    """Each file with the name it gets: its path below the folder that was given. Hidden files are left out."""
    if path.is_file():
        yield path, path.name
        return
    for file in sorted(path.rglob("*")):
        below = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in below.parts):
            yield file, below.as_posix()


async def _add(
    settings: Settings, files: Sequence[tuple[Path, str]], slug: str, *, wait: bool
) -> list[Entry]:
    async with opened(settings) as database:
        with progress_bar() as bar:
            async with database.transaction() as session:
                base = await KnowledgeBases(session).by_slug(slug)
            entries = await hand_in(settings, database, base, files, bar)
            if wait:
                await follow(database, entries, bar)
    return entries
