"""`rag doctor`: an examination with a progress bar, and its report."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.doctor.examination import examine
from rag_service.doctor.report import as_json as to_json
from rag_service.doctor.report import print_findings
from rag_service.knowledge.consistency import Seen
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings


async def run_doctor(settings: Settings, console: Console, *, repair: bool, as_json: bool) -> int:
    """Examine what connected settings name; returns the exit code."""
    assert settings.database_url and settings.chroma_url  # noqa: S101 - connected() promises both
    database = Database(settings.database_url.get_secret_value(), pool=4, application="rag-doctor")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def watch(what: str, total: int | None) -> Seen:
            task = bar.add_task(what, total=total)
            return lambda count: bar.advance(task, count)

        try:
            findings = [
                finding
                async for finding in examine(
                    database,
                    ChromaIndex(settings.chroma_url),
                    BlobStore(settings.blob_dir),
                    settings.lexical_root,
                    repair=repair,
                    watch=watch,
                )
            ]
        finally:
            await database.close()
    if as_json:
        sys.stdout.write(to_json(findings) + "\n")
    else:
        print_findings(findings, console)
    return int(any(finding.left for finding in findings))
