"""The lexical index: BM25 by tantivy.

What lies here is derived from PostgreSQL and may be thrown away. Each knowledge base has a folder of its own, so that
a term is as rare as it is rare there.
"""

import asyncio
import logging
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar
from uuid import UUID

from rag_service.errors import ConfigurationError, LexicalIndexUnavailable
from rag_service.knowledge.lexical_files import OwnFolder
from rag_service.knowledge.tantivy_files import Entry, IndexFiles

FORMAT = 1
"""Number of this way to store entries: indexes of another one are built anew."""
OPEN_AT_ONCE = 64
"""Knowledge bases whose files are held open."""
SEARCHES_AT_ONCE = 4
FEW_TERMS = 64
"""Terms whose frequencies are looked up in microseconds."""

logger = logging.getLogger(__name__)
T = TypeVar("T")
Documents = Collection[UUID] | None


class LexicalIndex(Protocol):
    """BM25 with the statistics of one knowledge base. What is asked are `terms` in that one's language."""

    async def search(
        self, knowledge_base_id: UUID, asked: Sequence[str], limit: int, *, documents: Documents = None
    ) -> list[tuple[UUID, float]]:
        """Chunk ids with their BM25 scores, best first; with `documents` only theirs.

        Empty where nothing is indexed, also while an index is built anew. Never raises what is wrong with the index.
        """
        ...

    async def frequencies(self, knowledge_base_id: UUID, asked: Sequence[str]) -> tuple[int, dict[str, int]]:
        """Number of chunks of the knowledge base, and in how many of them each term occurs.

        What was replaced or deleted lately may still count in the latter. (0, {}) where nothing is indexed.
        """
        ...


class TantivyIndex:
    """A `LexicalIndex` on files below `root`. One task may change it, any may ask it."""

    def __init__(self, root: Path) -> None:
        """Raises ConfigurationError where `root` cannot be used."""
        self._folder = OwnFolder(root)
        self._lock = Lock()  # over what follows, which threads use
        self._open: OrderedDict[Path, IndexFiles] = OrderedDict()
        self._serving: dict[UUID, Path] = {}
        self._suspect: set[UUID] = set()
        self._searching = ThreadPoolExecutor(SEARCHES_AT_ONCE, "lexical-search")
        self._writing = ThreadPoolExecutor(1, "lexical-write")

    async def close(self) -> None:
        """Wait for a change that is under way, and let go of the files."""
        for threads in (self._searching, self._writing):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        self._open.clear()
        self._folder.release()

    async def search(
        self, knowledge_base_id: UUID, asked: Sequence[str], limit: int, *, documents: Documents = None
    ) -> list[tuple[UUID, float]]:
        if not asked or limit < 1 or (documents is not None and not documents):
            return []
        found = await self._ask(knowledge_base_id, lambda files: files.search(asked, limit, documents))
        return found or []

    async def frequencies(self, knowledge_base_id: UUID, asked: Sequence[str]) -> tuple[int, dict[str, int]]:
        if len(asked) <= FEW_TERMS and (at_hand := self._at_hand(knowledge_base_id)):
            with suppress(LexicalIndexUnavailable):  # to be told again, and noted
                return at_hand.frequencies(set(asked))
        found = await self._ask(knowledge_base_id, lambda files: files.frequencies(set(asked)))
        return found or (0, {})

    def _at_hand(self, knowledge_base_id: UUID) -> IndexFiles | None:
        """Open files that nobody is changing the list of. What takes microseconds is asked of them without a thread,
        which would take ten times as long."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            folder = self._serving.get(knowledge_base_id)
            return self._open.get(folder) if folder else None
        finally:
            self._lock.release()

    async def _ask(self, knowledge_base_id: UUID, ask: Callable[[IndexFiles], T]) -> T | None:
        """What `ask` gives; None where there is no index, or not one that can be read."""

        def work() -> T | None:
            try:
                with self._lock:
                    folder = self._serving.get(knowledge_base_id)
                    files = self._files(folder) if folder else None
                return ask(files) if files else None
            except LexicalIndexUnavailable:
                with self._lock:
                    self._suspect.add(knowledge_base_id)
                return None

        return await asyncio.get_running_loop().run_in_executor(self._searching, work)

    def _files(self, folder: Path) -> IndexFiles:
        """The open files of a folder. Called under the lock."""
        if folder not in self._open:
            self._open[folder] = IndexFiles(folder)
            while len(self._open) > OPEN_AT_ONCE:
                self._open.popitem(last=False)
        self._open.move_to_end(folder)
        return self._open[folder]

    async def examine(self) -> set[UUID]:
        """Throw away what is damaged or half gone. Returns the knowledge bases that have an index, of any analysis.

        Raises:
            LexicalIndexUnavailable: the root cannot be used.
        """
        return await self._write(self._examine)

    def _examine(self) -> set[UUID]:
        with self._lock:
            if not self._folder.is_held():
                self._open.clear()
                self._serving.clear()
                try:
                    self._folder.take()
                except ConfigurationError as error:
                    logger.warning("lexical index", extra={"reason": error.detail})
                    raise LexicalIndexUnavailable(
                        "The folder of the lexical index cannot be used."
                    ) from error
            gone = {base for base, folder in self._serving.items() if not self._is_there(folder)}
            damaged, self._suspect = gone | self._suspect, set()
        for base in damaged:
            logger.warning("lexical index is damaged, and built anew", extra={"knowledge_base_id": str(base)})
            self._drop(base)
        found = (base_of(path) for path in self._folder.path.iterdir())
        return {base for base in found if base is not None}

    def _is_there(self, folder: Path) -> bool:
        """Whether an index is in its place, with files as long as they were. Called under the lock."""
        files = self._open.get(folder)
        return (folder / "meta.json").exists() and (files is None or files.is_whole())

    async def versions(self, knowledge_base_id: UUID, analysis: str) -> set[UUID]:
        """The versions of documents that are in the index under this analysis; what is damaged is thrown away."""
        folder = self._folder_of(knowledge_base_id, analysis)

        def work() -> set[UUID]:
            if not folder.exists():
                return set()
            try:
                with self._lock:
                    files = self._files(folder)
                found = files.versions()
            except LexicalIndexUnavailable:
                self._throw_away(folder)
                return set()
            with self._lock:
                # An index of another analysis serves until this one is complete.
                self._serving.setdefault(knowledge_base_id, folder)
            return found

        return await self._write(work)

    async def change(
        self,
        knowledge_base_id: UUID,
        analysis: str,
        *,
        remove: Iterable[UUID] = (),
        add: AsyncIterator[Sequence[Entry]],
    ) -> None:
        """Remove versions and add entries, in one commit: whoever asks sees all of it or nothing.

        Raises:
            LexicalIndexUnavailable: it cannot be written; it is as it was before, or damaged.
        """
        folder = self._folder_of(knowledge_base_id, analysis)

        def begin() -> IndexFiles:
            with self._lock:
                files = self._files(folder)
            files.begin(remove)
            return files

        files = await self._write(begin)
        try:
            async for entries in add:
                await self._write(partial(files.add, entries))
            await self._write(files.commit)
        except LexicalIndexUnavailable:
            with self._lock:
                self._open.pop(folder, None)
            raise
        finally:
            # Also when this task is cancelled: the thread comes to it behind what it is at.
            self._writing.submit(files.end)
        with self._lock:
            self._open[folder] = (
                files  # should others have taken its place meanwhile, they know the old state
            )
            self._serving.setdefault(knowledge_base_id, folder)

    async def complete(self, knowledge_base_id: UUID, analysis: str) -> None:
        """Answer from the index under this analysis, and drop those under others."""
        folder = self._folder_of(knowledge_base_id, analysis)

        def work() -> None:
            with self._lock:
                if folder.exists():
                    self._serving[knowledge_base_id] = folder
            for other in self._folders_of(knowledge_base_id):
                if other != folder:
                    self._throw_away(other)

        await self._write(work)

    async def waste(self, knowledge_base_id: UUID, analysis: str) -> tuple[int, int]:
        """(chunks, entries that were removed but still take up room)."""
        folder = self._folder_of(knowledge_base_id, analysis)

        def work() -> tuple[int, int]:
            with self._lock:
                files = self._files(folder) if folder.exists() else None
            return files.waste() if files else (0, 0)

        return await self._write(work)

    async def drop(self, knowledge_base_id: UUID) -> None:
        """Remove all that there is of a knowledge base; no error where there is nothing."""
        await self._write(lambda: self._drop(knowledge_base_id))

    def _drop(self, knowledge_base_id: UUID) -> None:
        with self._lock:
            self._serving.pop(knowledge_base_id, None)
        for folder in self._folders_of(knowledge_base_id):
            self._throw_away(folder)

    def _throw_away(self, folder: Path) -> None:
        with self._lock:
            self._open.pop(folder, None)
            self._serving = {base: other for base, other in self._serving.items() if other != folder}
        shutil.rmtree(folder, ignore_errors=True)

    def _folder_of(self, knowledge_base_id: UUID, analysis: str) -> Path:
        return self._folder.path / index_name(knowledge_base_id, analysis)

    def _folders_of(self, knowledge_base_id: UUID) -> list[Path]:
        return list(self._folder.path.glob(f"{knowledge_base_id.hex}.*"))

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)


def index_name(knowledge_base_id: UUID, analysis: str) -> str:
    """The name of the folder of a knowledge base's index under an analysis."""
    return f"{knowledge_base_id.hex}.{FORMAT}.{analysis}"


def base_of(folder: Path) -> UUID | None:
    """The knowledge base whose index a folder is by its name."""
    try:
        return UUID(hex=folder.name.partition(".")[0])
    except ValueError:
        return None
