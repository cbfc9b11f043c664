"""Original files: blobs without a row, rows without a blob."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from uuid import UUID

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.repositories.consistency import Consistency, Original
from rag_service.doctor.findings import Finding, Watch
from rag_service.knowledge.consistency import EXAMPLES

PAGE = 1000
YOUNG_SECONDS = 3600
"""A file this new may belong to an upload whose rows are not committed yet."""


class FileExamination:
    """Examines the blob folder. With `repair` it removes what no version has."""

    def __init__(self, database: Database, blobs: BlobStore, *, repair: bool, watch: Watch) -> None:
        self._database = database
        self._blobs = blobs
        self._repair = repair
        self._watch = watch

    async def examine(self) -> AsyncIterator[Finding]:
        """Raises DatabaseUnavailable."""
        for finding in (await self._without_row(), await self._without_blob()):
            if finding.count:
                yield finding

    async def _without_row(self) -> Finding:
        count, examples, seen = 0, list[str](), self._watch("original files by row", None)
        files = self._blobs.files()
        while page := await asyncio.to_thread(_old_ones, files):
            async with self._database.transaction() as session:
                known = await Consistency(session).blobs_known([path.name for path in page])
            orphans = [path for path in page if path.name not in known]
            if self._repair:
                for path in orphans:
                    path.unlink(missing_ok=True)
            count += len(orphans)
            examples += [path.name for path in orphans[: EXAMPLES - len(examples)]]
            seen(len(page))
        return Finding(
            "orphan_blobs",
            "blobs",
            "files belong to no version of a document",
            "rag doctor --repair removes them",
            count,
            count if self._repair else 0,
            examples,
        )

    async def _without_blob(self) -> Finding:
        count, examples, seen = 0, list[str](), self._watch("rows by original file", None)
        after: UUID | None = None
        while True:
            async with self._database.transaction() as session:
                page = await Consistency(session).originals(after=after, limit=PAGE)
            if not page:
                break
            after = page[-1].version_id
            gone = await asyncio.to_thread(self._lost, page)
            count += len(gone)
            examples += [
                f"{one.knowledge_base}: {one.document} (version {one.number})"
                for one in gone[: EXAMPLES - len(examples)]
            ]
            seen(len(page))
        return Finding(
            "missing_blobs",
            "blobs",
            "versions have lost their original file; their text can still be asked, not read anew",
            "cannot be mended here: put the files back from a backup, or upload these documents again; if all are "
            "missing, RAG_STATE_DIR is not the server's",
            count,
            0,
            examples,
        )

    def _lost(self, originals: Sequence[Original]) -> list[Original]:
        return [one for one in originals if not self._blobs.path(one.blob).is_file()]


def _old_ones(files: Iterator[Path]) -> list[Path]:
    """The next files that are no longer young; empty at the end."""
    before = time.time() - YOUNG_SECONDS
    return list(islice((path for path in files if _modified(path) < before), PAGE))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # just removed, or an upload that was just completed
        return time.time()
