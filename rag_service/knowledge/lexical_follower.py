"""Keeps this process's lexical index as PostgreSQL says: new versions in, old and deleted ones out, within a second.

Nothing is remembered between two rounds, neither a place in a log nor a time: each compares what is indexed with what
is active, and mends a part of what differs. So it is right after a crash, on a database from a backup, beside any
number of other processes, and on files that somebody has deleted.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.listening import listen
from rag_service.db.models import Chunk
from rag_service.db.repositories.lexical import (
    ACTIVE_CHANNEL,
    ActiveBase,
    ActiveVersion,
    Digest,
    Lexical,
    part_of,
)
from rag_service.errors import DatabaseUnavailable, LexicalIndexUnavailable
from rag_service.knowledge.lexical import TantivyIndex
from rag_service.knowledge.tantivy_files import Entry
from rag_service.knowledge.terms import analysis_of, terms

REST_SECONDS = 0.2
"""Least pause behind a comparison: of many uploads in a row several are indexed with one commit."""
POLL_SECONDS = 1.0
POLL_SHARE = 50
"""So many times as long as a comparison takes is the pause until the next one, unless somebody wakes us."""
WOKEN_SHARE = 2
"""The same if somebody does: of many commits in a row several are looked at together."""
LONGEST_PAUSE = 30.0
CHUNKS_OF_CHANGE = 5000
"""Chunks of one commit, unless one version alone has more. Other knowledge bases have their turn in between."""
CHUNKS_OF_PAGE = 500
ATTEMPTS = 3
"""Times that a change may fail in a row before the index is thrown away and built anew."""
WASTE_SHARE = 0.3
LEAST_WASTE = 2000
"""Entries that were removed stay on disk, and in the frequencies, until they are so many, and this share of the rest:
then the index is written anew."""

logger = logging.getLogger(__name__)


class _Held:
    """The versions that a knowledge base's index holds under an analysis."""

    def __init__(self, analysis: str, versions: set[UUID]) -> None:
        self.analysis = analysis
        self.versions = versions
        self.digest = Digest.of(versions)
        self.serves = False

    def update(self, *, remove: Iterable[UUID], add: Iterable[UUID]) -> None:
        self.versions = self.versions.difference(remove).union(add)
        self.digest = Digest.of(self.versions)

    def by_part(self) -> dict[int, set[UUID]]:
        parts: dict[int, set[UUID]] = defaultdict(set)
        for version in self.versions:
            parts[part_of(version)].add(version)
        return parts


@dataclass(frozen=True)
class _Difference:
    """Active versions that an index lacks, what it holds that is not active, and whether nothing else differs."""

    lacking: Sequence[ActiveVersion]
    left: set[UUID]
    is_all: bool


class LexicalFollower:
    """The one who changes a `TantivyIndex`."""

    def __init__(self, database: Database, index: TantivyIndex) -> None:
        self._database = database
        self._index = index
        self._wanted = asyncio.Event()
        self._held: dict[UUID, _Held] = {}
        self._failures: dict[UUID, int] = defaultdict(int)
        self._took = 0.0  # seconds of the last comparison, which reads a row of every document
        self._unfinished: int | None = None
        self._trouble = ""
        self._troubled_rounds = 0

    @property
    def degraded(self) -> str | None:
        """Why a search may miss documents that have been there for a while; None if it does not."""
        if self._trouble:
            return self._trouble
        if self._unfinished is None:
            return "The lexical index has not been compared with the database yet."
        if self._unfinished:
            return f"The lexical index is being built: {self._unfinished} knowledge base(s) to go."
        return None

    def wake(self) -> None:
        """Compare soon."""
        self._wanted.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within the block the index follows the database."""
        tasks = [
            asyncio.create_task(listen(self._database, ACTIVE_CHANNEL, self.wake)),
            asyncio.create_task(self._follow()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            self._wanted.clear()
            if await self.round():
                continue
            await asyncio.sleep(
                min(LONGEST_PAUSE, max(REST_SECONDS, WOKEN_SHARE * self._took, self._penalty()))
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_PAUSE, max(POLL_SECONDS, POLL_SHARE * self._took))):
                    await self._wanted.wait()

    def _penalty(self) -> float:
        return float(2 ** min(self._troubled_rounds - 1, 5)) if self._trouble else 0.0

    async def round(self) -> bool:
        """Compare, and mend a part of what differs. Returns whether there is more to do.

        What stands in the way is logged and noted in `degraded`; the next round tries again.
        """
        trouble = ""
        try:
            more = await self._compare()
        except DatabaseUnavailable:
            return False  # what was found still is, and the rest of the service says that it is away
        except LexicalIndexUnavailable as error:
            more, trouble = False, error.detail
        except Exception:
            # A fault of ours: were the follower to end with it, nobody would take its place.
            logger.exception("the lexical index could not be followed up")
            more, trouble = False, "The lexical index cannot be kept up to date: an error, which was logged."
        self._note(trouble)
        return more

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            logger.warning("lexical index is not up to date", extra={"reason": trouble})
        self._troubled_rounds = self._troubled_rounds + 1 if trouble else 0
        self._trouble = trouble

    async def _compare(self) -> bool:
        there = await self._index.examine()
        self._held = {base: held for base, held in self._held.items() if base in there or not held.versions}
        began = time.monotonic()
        async with self._database.transaction() as session:
            active = await Lexical(session).bases()
        self._took = time.monotonic() - began
        for gone in there - {base.id for base in active}:
            await self._index.drop(gone)
            self._held.pop(gone, None)
        unfinished, failure = 0, None
        for base in active:
            try:
                unfinished += not await self._mend(base)
                self._failures.pop(base.id, None)
            except LexicalIndexUnavailable as error:
                unfinished, failure = unfinished + 1, error
                await self._failed(base.id)
        self._unfinished = unfinished
        if failure is not None:
            raise failure
        return bool(unfinished)

    async def _failed(self, base: UUID) -> None:
        """Read again what the index holds; after some failures in a row there shall be nothing to read."""
        self._held.pop(base, None)
        self._failures[base] += 1
        if self._failures[base] >= ATTEMPTS:
            del self._failures[base]
            await self._index.drop(base)

    async def _mend(self, base: ActiveBase) -> bool:
        """Bring a knowledge base's index nearer to what is active; returns whether it is there."""
        analysis = analysis_of(base.language)
        held = self._held.get(base.id)
        if held is None or held.analysis != analysis:
            held = _Held(analysis, await self._index.versions(base.id, analysis))
            self._held[base.id] = held
        if held.digest != base.digest:
            differs = await self._difference(base.id, held)
            some = differs.lacking[: _fitting([version.chunks for version in differs.lacking])]
            await self._change(base, held, remove=differs.left, add=some)
            if len(some) < len(differs.lacking) or not differs.is_all:
                return False
            await self._clear_away(base, held)
        if not held.serves:
            await self._index.complete(base.id, analysis)
            held.serves = True
        return True

    async def _difference(self, base: UUID, held: _Held) -> _Difference:
        """What differs in as many parts of the knowledge base as one change can be about."""
        have = held.by_part()
        async with self._database.transaction() as session:
            wanted = await Lexical(session).parts(base)
            differing = [
                part
                for part in sorted(have.keys() | wanted.keys())
                if wanted.get(part, Digest()) != Digest.of(have.get(part, ()))
            ]
            some = differing[: _fitting([wanted.get(part, Digest()).count for part in differing])]
            active = await Lexical(session).versions(base, some)
        indexed = {version for part in some for version in have.get(part, ())}
        return _Difference(
            lacking=[version for version in active if version.id not in indexed],
            left=indexed - {version.id for version in active},
            is_all=len(some) == len(differing),
        )

    async def _change(
        self, base: ActiveBase, held: _Held, *, remove: set[UUID], add: Sequence[ActiveVersion]
    ) -> None:
        entries = self._entries(add, base.language)
        await self._index.change(base.id, held.analysis, remove=remove, add=entries)
        held.update(remove=remove, add=[version.id for version in add])

    async def _entries(
        self, versions: Sequence[ActiveVersion], language: str | None
    ) -> AsyncIterator[list[Entry]]:
        by_id = {version.id: version for version in versions}
        coming = sorted(by_id)
        after: tuple[UUID, int] | None = None
        while coming:
            async with self._database.transaction() as session:
                # Each has one chunk at least, so that a page is filled by no more versions than it has chunks.
                chunks = await Lexical(session).chunks(
                    coming[:CHUNKS_OF_PAGE], after=after, limit=CHUNKS_OF_PAGE
                )
            if not chunks:
                coming = coming[CHUNKS_OF_PAGE:]
                continue
            after = chunks[-1].version_id, chunks[-1].ordinal
            coming = coming[bisect_left(coming, after[0]) :]
            yield await asyncio.to_thread(_entries_of, chunks, by_id, language)

    async def _clear_away(self, base: ActiveBase, held: _Held) -> None:
        """Write the index anew where too much of it was removed. Until the commit, questions find what they did."""
        live, removed = await self._index.waste(base.id, held.analysis)
        if removed < max(LEAST_WASTE, WASTE_SHARE * live):
            return
        async with self._database.transaction() as session:
            active = await Lexical(session).versions(base.id, range(256))
        await self._change(base, held, remove=held.versions, add=active)


def _fitting(sizes: Sequence[int]) -> int:
    """How many of the first together have no more chunks than one commit takes; one at least."""
    total = 0
    for place, size in enumerate(sizes):
        total += size
        if total > CHUNKS_OF_CHANGE:
            return max(1, place)
    return len(sizes)


def _entries_of(
    chunks: Sequence[Chunk], versions: Mapping[UUID, ActiveVersion], language: str | None
) -> list[Entry]:
    return [
        Entry(
            chunk.id,
            versions[chunk.version_id].document_id,
            chunk.version_id,
            terms(_found_by(chunk, versions[chunk.version_id].title), language),
        )
        for chunk in chunks
    ]


def _found_by(chunk: Chunk, title: str) -> str:
    """The words that a chunk is found by: its document's title, the path of headings, a table's header, the text."""
    headings = [heading for heading in chunk.headings if heading != title]
    return "\n".join([title, *headings, chunk.context, chunk.text])
