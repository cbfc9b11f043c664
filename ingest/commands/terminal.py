"""What the commands share of the terminal, and of the servers they work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rag_service.db.engine import Database
from rag_service.settings import Settings

console = Console()


def progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database of connected settings."""
    assert settings.database_url  # noqa: S101 - connected() promises it
    database = Database(settings.database_url.get_secret_value(), pool=4, application="rag-ingest")
    try:
        yield database
    finally:
        await database.close()
