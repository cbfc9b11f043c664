"""`rag-ingest add`: files and folders into a knowledge base."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest.commands.handing_in import BAD, Entry, follow, hand_in, print_table
from ingest.commands.terminal import console, opened, progress_bar
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import InvalidInput
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
    """Each file with the name it gets: its path below the folder that was given. Hidden files are left out.

    Raises:
        InvalidInput: a folder below cannot be read.
    """
    if path.is_file():
        yield path, path.name
        return
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    for file in sorted(found):
        if file.is_file():
            yield file, file.relative_to(path).as_posix()


def _unreadable(error: OSError) -> None:
    raise InvalidInput(f"The folder {error.filename} cannot be read: {error.strerror}.") from error


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
