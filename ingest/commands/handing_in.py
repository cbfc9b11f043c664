"""Files handed in, followed to the ends of their jobs, and told in a table."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ingest.commands.terminal import console
from rag_service.blobs import BlobStore, StoredBlob, read_file
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.consistency import Consistency
from rag_service.db.repositories.documents import Documents, Outcome, clean_name
from rag_service.db.repositories.jobs import FINISHED, Jobs
from rag_service.db.repositories.sources import claim
from rag_service.errors import Conflict, EmbeddingModelMismatch, RagError
from rag_service.settings import Settings

POLL_SECONDS = 0.3
QUIET_SECONDS = 4.0
"""How long nothing may happen before a word is said about it."""

COLOURS = {
    "added": "green",
    "updated": "green",
    "unchanged": "dim",
    "removed": "yellow",
    "failed": "red",
    "quarantined": "red",
}
BY_HAND = "Came by hand before: kept up to date, but not deleted with the file."
BAD = ("failed", "cancelled", "quarantined")


@dataclass
class Entry:
    """One file on its way in: what it is called, the job that reads it, and what became of it."""

    name: str
    job_id: UUID | None = None
    outcome: Outcome | str = ""
    chunks: int = 0
    why: str = ""

    def fail(self, why: str) -> None:
        self.outcome, self.why = "failed", why


async def hand_in(
    settings: Settings,
    database: Database,
    knowledge_base: KnowledgeBase,
    files: Sequence[tuple[Path, str]],
    bar: Progress,
    *,
    source: str | None = None,
) -> list[Entry]:
    """Store each file as a version of the document of its name; a file that fails does not stop the others.

    With `source` new documents are marked as kept up to date by it, and others' are left alone.
    """
    takes = Intake(settings, database, knowledge_base, source)
    names: set[str] = set()
    entries: list[Entry] = []
    for path, raw_name in bar.track(files, description="Handing in"):
        entry = Entry(clean_name(raw_name))
        entries.append(entry)
        if source is not None and entry.name in names:
            entry.fail("Another file has the same name, apart from invisible characters.")
            continue
        names.add(entry.name)
        await takes.take(entry, read_file(path))
    return entries


class Intake:
    """Takes bytes in as versions of documents. What was stored of them is removed again where none came of it."""

    def __init__(
        self, settings: Settings, database: Database, knowledge_base: KnowledgeBase, source: str | None = None
    ) -> None:
        self._blobs = BlobStore(settings.blob_dir)
        self._limit = settings.max_file_bytes
        self._database = database
        self._knowledge_base = knowledge_base
        self._source = source

    async def take(
        self, entry: Entry, data: AsyncIterator[bytes], attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Take one in, and say in its entry what became of it; `attributes` replace those of the same name."""
        try:
            blob = await self._blobs.put(data, limit=self._limit)
        except (RagError, OSError) as error:
            entry.fail(str(error))
            return
        try:
            await self._accept(entry, blob, attributes or {})
        except Conflict as error:
            entry.fail(error.detail)
        finally:
            if entry.job_id is None:
                self._blobs.delete(blob.name)

    async def _accept(self, entry: Entry, blob: StoredBlob, attributes: Mapping[str, Any]) -> None:
        async with self._database.transaction() as session:
            accepted = await Documents(session).accept(self._knowledge_base, entry.name, blob)
            document = accepted.document
            if attributes:
                document.attributes = {**(document.attributes or {}), **attributes}
            if self._source is not None:
                claim(accepted, self._source)
        entry.outcome = accepted.outcome
        entry.job_id = accepted.job.id if accepted.job else None
        if self._source is not None and document.source is None:
            entry.why = BY_HAND


async def follow(database: Database, entries: Sequence[Entry], bar: Progress) -> None:
    """Follow the jobs to their ends. Where none of them moves, the reason is told once, as far as it is known."""
    waiting = {entry.job_id: entry for entry in entries if entry.job_id is not None}
    if not waiting:
        return
    total = len(waiting)
    reading = bar.add_task("Reading", total=total)
    embedding = bar.add_task("Embedding chunks", total=None)
    counts: dict[UUID, tuple[int, int]] = {}
    moved, told = time.monotonic(), False
    while waiting:
        async with database.transaction() as session:
            jobs = await Jobs(session).many(list(waiting))
        for job, _ in jobs:
            counts[job.id] = (job.done, job.total)
            if job.error_code == EmbeddingModelMismatch.code and job.state == "queued":
                raise EmbeddingModelMismatch(f"{job.error_detail} (What was handed in is kept, and waits.)")
            if job.state != "queued":
                moved = time.monotonic()
            if job.state in FINISHED:
                entry = waiting.pop(job.id)
                entry.chunks = job.total
                entry.why = job.error_detail or "; ".join(
                    [*job.warnings, *([entry.why] if entry.why else [])]
                )
                if job.state != "succeeded":
                    entry.outcome = job.state
        bar.update(reading, completed=total - len(waiting))
        bar.update(
            embedding,
            completed=sum(done for done, _ in counts.values()),
            total=sum(chunks for _, chunks in counts.values()),
        )
        if waiting and not told and time.monotonic() > moved + QUIET_SECONDS:
            told = await _tell_if_nobody_listens(database)
        if waiting:
            await asyncio.sleep(POLL_SECONDS)


async def _tell_if_nobody_listens(database: Database) -> bool:
    async with database.transaction() as session:
        if await Consistency(session).workers():
            return False
    console.print(
        "[yellow]No worker listens, so nothing is read yet.[/] Start one: [bold]rag-ingest worker[/] (`rag serve` "
        "starts one by itself). What was handed in is kept: Ctrl-C only ends the waiting.",
        soft_wrap=True,
    )
    return True


def print_table(entries: Sequence[Entry]) -> None:
    """What became of each, and the sums."""
    table = Table("Document", "Outcome", "Chunks", "Why", title=None)
    table.columns[2].justify = "right"
    for entry in entries:
        colour = COLOURS.get(entry.outcome, "yellow")
        chunks = str(entry.chunks) if entry.chunks else ""
        table.add_row(escape(entry.name), f"[{colour}]{entry.outcome}[/]", chunks, escape(entry.why))
    console.print(table)
    outcomes = [entry.outcome for entry in entries]
    console.print(", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes)) + ".")
