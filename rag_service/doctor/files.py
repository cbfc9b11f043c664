"""Original files: blobs without a row, rows without a blob."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.repositories.consistency import Consistency, Original
from rag_service.doctor.findings import Finding, Watch
from rag_service.knowledge.consistency import EXAMPLES
from rag_service.knowledge.leftovers import orphan_files

PAGE = 1000


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
        seen = self._watch("original files by row", None)
        return Finding.of(
            await orphan_files(self._database, self._blobs, mend=self._repair, seen=seen),
            "orphan_blobs",
            "blobs",
            "files belong to no version of a document",
            "rag doctor --repair removes them; a worker does so by itself, once a day",
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
