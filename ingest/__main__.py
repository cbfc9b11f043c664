"""`rag-ingest`: bring documents in from the command line, and run the worker."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rag_service.blobs import BlobStore, read_file
from rag_service.db.engine import Database
from rag_service.db.repositories.documents import Documents, Outcome, clean_name
from rag_service.db.repositories.jobs import FINISHED, Jobs
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import RagError
from rag_service.settings import Settings, load_settings

app = typer.Typer(
    help="Bring documents in, and run the worker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

POLL_SECONDS = 0.3


@dataclass
class Entry:
    """One file on its way in: what it is called, the job that reads it, and what became of it."""

    name: str
    job_id: UUID | None = None
    outcome: Outcome | str = ""
    chunks: int = 0
    why: str = ""


@app.command()
def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders; folders are read to the bottom.")],
    knowledge_base: Annotated[str, typer.Option("--knowledge-base", "-k", help="Its slug.")] = "default",
    wait: Annotated[bool, typer.Option(help="Stay until all of them can be asked.")] = True,
) -> None:
    """Add files to a knowledge base; each ends as added, updated, unchanged or failed, with the reason."""
    settings = load_settings().connected()
    if missing := [path for path in paths if not path.exists()]:
        raise typer.BadParameter(f"There is no {missing[0]}.")
    files = list(_files(paths))
    if not files:
        console.print("Nothing to add: no files there.")
        return
    entries = asyncio.run(_add(settings, files, knowledge_base, wait=wait))
    _print_table(entries)
    if any(entry.outcome in ("failed", "cancelled", "quarantined") for entry in entries):
        raise typer.Exit(1)


@app.command()
def worker() -> None:
    """Run the worker: it reads what is uploaded, until it is stopped. With REDIS_URL set it is a Celery worker."""
    settings = load_settings()
    if settings.redis_url:
        # In the place of this process, so that whoever watches over it need not know.
        # What one of these workers would say to the others, PostgreSQL says.
        alone = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        celery = [sys.executable, "-m", "celery", "--quiet", "--app", "ingest.celery_app", "worker", *alone]
        os.execv(sys.executable, celery)  # noqa: S606 - no shell is wanted
    from ingest.worker import run_worker

    asyncio.run(run_worker(settings))


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each file with the name it gets: its path below the folder that was given. Hidden files are left out."""
    for path in paths:
        if path.is_file():
            yield path, path.name
            continue
        for file in sorted(path.rglob("*")):
            below = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in below.parts):
                yield file, below.as_posix()


async def _add(
    settings: Settings, files: Sequence[tuple[Path, str]], slug: str, *, wait: bool
) -> list[Entry]:
    assert settings.database_url  # noqa: S101 - connected() promises it
    database = Database(settings.database_url.get_secret_value(), pool=2, application="rag-ingest")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as bar:
            entries = await _hand_in(settings, database, files, slug, bar)
            if wait:
                await _watch(database, entries, bar)
    finally:
        await database.close()
    return entries


async def _hand_in(
    settings: Settings, database: Database, files: Sequence[tuple[Path, str]], slug: str, bar: Progress
) -> list[Entry]:
    blobs = BlobStore(settings.blob_dir)
    async with database.transaction() as session:
        knowledge_base = await KnowledgeBases(session).by_slug(slug)
    entries: list[Entry] = []
    for path, raw_name in bar.track(files, description="Handing in"):
        entry = Entry(clean_name(raw_name))
        entries.append(entry)
        try:
            blob = await blobs.put(read_file(path), limit=settings.max_file_bytes)
        except (RagError, OSError) as error:
            entry.outcome, entry.why = "failed", str(error)
            continue
        async with database.transaction() as session:
            accepted = await Documents(session).accept(knowledge_base, entry.name, blob)
        entry.outcome = accepted.outcome
        if accepted.job is None:
            blobs.delete(blob.name)
        else:
            entry.job_id = accepted.job.id
    return entries


async def _watch(database: Database, entries: Sequence[Entry], bar: Progress) -> None:
    """Follow the jobs to their ends."""
    waiting = {entry.job_id: entry for entry in entries if entry.job_id is not None}
    if not waiting:
        return
    total = len(waiting)
    reading = bar.add_task("Reading", total=total)
    embedding = bar.add_task("Embedding chunks", total=None)
    counts: dict[UUID, tuple[int, int]] = {}
    while waiting:
        async with database.transaction() as session:
            jobs = await Jobs(session).many(list(waiting))
        for job, _ in jobs:
            counts[job.id] = (job.done, job.total)
            if job.state in FINISHED:
                entry = waiting.pop(job.id)
                entry.chunks = job.total
                entry.why = job.error_detail or "; ".join(job.warnings)
                if job.state != "succeeded":
                    entry.outcome = job.state
        bar.update(reading, completed=total - len(waiting))
        bar.update(
            embedding,
            completed=sum(done for done, _ in counts.values()),
            total=sum(chunks for _, chunks in counts.values()),
        )
        if waiting:
            await asyncio.sleep(POLL_SECONDS)


def _print_table(entries: Sequence[Entry]) -> None:
    colours = {
        "added": "green",
        "updated": "green",
        "unchanged": "dim",
        "failed": "red",
        "quarantined": "red",
    }
    table = Table("Document", "Outcome", "Chunks", "Why", title=None)
    table.columns[2].justify = "right"
    for entry in entries:
        colour = colours.get(entry.outcome, "yellow")
        chunks = str(entry.chunks) if entry.chunks else ""
        table.add_row(escape(entry.name), f"[{colour}]{entry.outcome}[/]", chunks, escape(entry.why))
    console.print(table)
    outcomes = [entry.outcome for entry in entries]
    console.print(", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes)) + ".")


def main() -> None:
    """The entry point: our own errors are one sentence, not a trace."""
    try:
        app()
    except RagError as error:
        print(f"rag-ingest: {error.detail}", file=sys.stderr)  # noqa: T201 - a command's own last word
        sys.exit(2)


if __name__ == "__main__":
    main()
