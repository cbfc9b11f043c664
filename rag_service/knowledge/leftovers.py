"""What a killed process or a changed mind leaves behind: original files of no version, embeddings of no chunk."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.repositories.consistency import Consistency
from rag_service.db.repositories.unused_embeddings import Key, UnusedEmbeddings
from rag_service.knowledge.consistency import EXAMPLES, Difference, Seen, unseen

PAGE = 1000
YOUNG = timedelta(hours=1)
"""What is this new may belong to an upload, or a job, whose rows are not committed yet."""


async def orphan_files(
    database: Database, blobs: BlobStore, *, mend: bool = False, only_few: bool = False, seen: Seen = unseen
) -> Difference:
    """Original files that no version has; mended by removing them.

    With `only_few` nothing is removed where they are more than those that a version has: then the folder is more
    likely another installation's. Raises DatabaseUnavailable.
    """
    found, orphans, known = Difference(), list[Path](), 0
    files = blobs.files()
    while page := await asyncio.to_thread(_old_ones, files):
        async with database.transaction() as session:
            names = await Consistency(session).blobs_known([path.name for path in page])
        orphans += [path for path in page if path.name not in names]
        known += len(names)
        seen(len(page))
    found.count, found.examples = len(orphans), [path.name for path in orphans[:EXAMPLES]]
    if mend and not (only_few and len(orphans) > known):
        await asyncio.to_thread(_remove, orphans)
        found.mended = len(orphans)
    return found


async def unused_embeddings(database: Database, *, mend: bool = False, seen: Seen = unseen) -> Difference:
    """Embeddings whose content no chunk has; mended by removing them. Raises DatabaseUnavailable."""
    found, after = Difference(), None
    while True:
        async with database.transaction() as session:
            page = await UnusedEmbeddings(session).page(after=after, older=YOUNG, limit=PAGE)
        if page.last is None:
            return found
        after = page.last
        found.count += len(page.unused)
        found.examples += [content_hash for _, content_hash in page.unused[: EXAMPLES - len(found.examples)]]
        if mend and page.unused:
            found.mended += await _forget(database, page.unused)
        seen(page.looked_at)


async def _forget(database: Database, keys: list[Key]) -> int:
    async with database.transaction() as session:
        removed = await UnusedEmbeddings(session).remove(keys)
    async with database.transaction() as session:
        await UnusedEmbeddings(session).put_back(removed)
    return len(keys)  # one that is of use again is mended too


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _old_ones(files: Iterator[Path]) -> list[Path]:
    """The next files that are no longer young; empty at the end."""
    before = time.time() - YOUNG.total_seconds()
    return list(islice((path for path in files if _modified(path) < before), PAGE))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # just removed, or an upload that was just completed
        return time.time()
