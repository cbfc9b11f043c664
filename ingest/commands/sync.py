"""`rag-ingest sync`: a knowledge base mirrors a folder."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import Progress

from ingest.commands.add import files_of
from ingest.commands.handing_in import BAD, BY_HAND, Entry, follow, hand_in, print_table
from ingest.commands.terminal import console, opened, progress_bar
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.documents import Documents, clean_name
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.sources import Sources, check_owner
from rag_service.errors import Conflict, NotFound
from rag_service.settings import Settings, load_settings

Files = Sequence[tuple[Path, str]]


def sync(
    folder: Annotated[Path, typer.Argument(help="The folder to mirror; it is read to the bottom.")],
    knowledge_base: Annotated[str, typer.Option("--knowledge-base", "-k", help="Its slug.")] = "default",
    delete: Annotated[bool, typer.Option(help="Delete documents whose files are gone.")] = True,
    delete_most: Annotated[
        bool, typer.Option("--delete-most", help="Also when that is more than half of them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    wait: Annotated[bool, typer.Option(help="Stay until all of them can be asked.")] = True,
) -> None:
    """Mirror a folder: new and changed files are read, documents of files that are gone are deleted.

    Only documents that came from this folder by this command are ever deleted.
    """
    settings = load_settings().connected()
    folder = folder.resolve()
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is no folder. Nothing was changed.")
    mirror = _Mirror(settings, f"sync:{folder}", list(files_of(folder)), knowledge_base)
    entries = asyncio.run(mirror.run(delete=delete, delete_most=delete_most, dry_run=dry_run, wait=wait))
    if not entries:
        console.print("Nothing to do: no files there, and no documents of them.")
        return
    print_table(entries)
    if dry_run:
        console.print("Nothing was changed: this was a dry run.")
    if any(entry.outcome in BAD for entry in entries):
        raise typer.Exit(1)


class _Mirror:
    def __init__(self, settings: Settings, source: str, files: Files, slug: str) -> None:
        self._settings = settings
        self._source = source
        self._files = files
        self._slug = slug

    async def run(self, *, delete: bool, delete_most: bool, dry_run: bool, wait: bool) -> list[Entry]:
        async with opened(self._settings) as database:
            with progress_bar() as bar:
                async with database.transaction() as session:
                    base = await KnowledgeBases(session).by_slug(self._slug)
                    known = await Sources(session).documents(base.id, self._source)
                names = {clean_name(name) for _, name in self._files}
                gone = [(id, name) for id, name in known if name not in names] if delete else []
                if 2 * len(gone) > len(known) and not delete_most:
                    raise Conflict(_too_many(len(gone), len(known), self._source))
                if dry_run:
                    return [*await self._foresee(database, base, bar), *_removed(gone)]
                entries = await hand_in(self._settings, database, base, self._files, bar, source=self._source)
                await _delete(database, gone, bar)
                if wait:
                    await follow(database, entries, bar)
        return [*entries, *_removed(gone)]

    async def _foresee(self, database: Database, base: KnowledgeBase, bar: Progress) -> list[Entry]:
        """What handing the files in would do."""
        entries: list[Entry] = []
        for path, raw_name in bar.track(self._files, description="Comparing"):
            entry = Entry(clean_name(raw_name))
            entries.append(entry)
            async with database.transaction() as session:
                found = (await Sources(session).latest(base.id, [entry.name])).get(entry.name)
            if found is None:
                entry.outcome = "added"
                continue
            source, sha256 = found
            try:
                check_owner(source, self._source)
                same = await asyncio.to_thread(_sha256, path) == sha256
            except (Conflict, OSError) as error:
                entry.outcome, entry.why = "failed", str(error)
                continue
            entry.outcome = "unchanged" if same else "updated"
            entry.why = BY_HAND if source is None else ""
        return entries


async def _delete(database: Database, gone: Sequence[tuple[UUID, str]], bar: Progress) -> None:
    for document_id, _ in bar.track(gone, description="Deleting") if gone else ():
        try:
            async with database.transaction() as session:
                await Documents(session).delete(document_id)
        except NotFound:
            continue  # somebody else deleted it just now


def _removed(gone: Sequence[tuple[UUID, str]]) -> list[Entry]:
    return [Entry(name, outcome="removed") for _, name in gone]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _too_many(gone: int, known: int, source: str) -> str:
    return (
        f"{gone} of the {known} documents from {source.removeprefix('sync:')} would be deleted. Is the folder "
        "mounted, and the right one? If they are really gone, say --delete-most; --no-delete keeps them. Nothing "
        "was changed."
    )
