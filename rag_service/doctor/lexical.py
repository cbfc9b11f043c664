"""The lexical indexes beside this process: each api process has one, follows the database with it, and reads it."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.consistency import Consistency
from rag_service.doctor.findings import Finding, Watch
from rag_service.errors import LexicalIndexUnavailable
from rag_service.knowledge.consistency import EXAMPLES
from rag_service.knowledge.lexical import base_of, index_name
from rag_service.knowledge.lexical_comparison import LexicalComparison
from rag_service.knowledge.lexical_files import process_folders, while_unused
from rag_service.knowledge.lexical_follower import LONGEST_PAUSE
from rag_service.knowledge.terms import analysis_of

SAMPLE = 100
"""Chunks of a knowledge base whose own words are searched for."""
PATIENCE = LONGEST_PAUSE + 5
"""Seconds without progress after which an api process that runs is not taken to be about to mend an index itself."""
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class _State:
    """What is wrong with an index: that it cannot be read, or the ids of chunks."""

    damage: str = ""
    lacking: set[UUID] = field(default_factory=set)
    left: set[UUID] = field(default_factory=set)
    lost: set[UUID] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.lacking | self.left | self.lost) or int(bool(self.damage))

    @property
    def what(self) -> str:
        told = (
            (self.lacking, "lacking"),
            (self.left, "no longer active"),
            (self.lost, "not found by their words"),
        )
        return self.damage or ", ".join(f"{len(ids)} {why}" for ids, why in told if ids)

    def and_still(self, later: "_State") -> "_State":
        """What is wrong now and was before: what comes and goes meanwhile is on its way."""
        if self.damage or later.damage:
            return later
        return _State("", self.lacking & later.lacking, self.left & later.left, self.lost & later.lost)


class LexicalExamination:
    """Examines what lies below `root`. With `repair`, an index that is in use is taken away from its process, which
    then builds it anew, and one of a process that does not run is removed."""

    def __init__(
        self, database: Database, root: Path, *, repair: bool, watch: Watch, patience: float = PATIENCE
    ) -> None:
        self._database = database
        self._root = root
        self._repair = repair
        self._watch = watch
        self._patience = patience

    async def examine(self) -> AsyncIterator[Finding]:
        """Raises DatabaseUnavailable."""
        async with self._database.transaction() as session:
            bases = await Consistency(session).living()
        try:
            for folder in process_folders(self._root):
                seen = self._watch(f"lexical index {folder.name} by chunk", len(bases))
                for base in bases:
                    if (finding := await self._base(base, folder)) is not None:
                        yield finding
                    seen(1)
                if (finding := self._orphans({base.id for base in bases}, folder)) is not None:
                    yield finding
        except OSError as error:
            yield Finding(
                "lexical_folder",
                str(self._root),
                f"the lexical indexes cannot be read: {error.strerror}",
                "run rag doctor as the user that the api runs as",
            )

    async def _base(self, base: KnowledgeBase, folder: Path) -> Finding | None:
        index = folder / index_name(base.id, analysis_of(base.language))
        if not index.exists():  # an api process that runs is about to make it
            return None
        found = await self._look(base, index)
        if not found.count:
            return None
        # Read without its lock, which a process that starts just now would find taken.
        with while_unused(folder) as unused:
            if unused and self._repair:
                shutil.rmtree(index)
        if unused:
            return _unused(base, folder, found, mended=self._repair)
        found = await self._settled(base, index, found)
        if not found.count:
            return None
        left = found
        if self._repair:
            (index / "meta.json").unlink(missing_ok=True)
            left = await self._settled(base, index, _State("taken away"))
        return _in_use(base, folder, found, mended=max(0, found.count - left.count))

    async def _settled(self, base: KnowledgeBase, index: Path, found: _State) -> _State:
        """What is wrong at every look, once nothing is, or nothing has become better for a while."""
        since = time.monotonic()
        while found.count and time.monotonic() - since < self._patience:
            await asyncio.sleep(LOOK_SECONDS)
            before, found = found, found.and_still(await self._look(base, index))
            if found.damage != before.damage or found.count < before.count:
                since = time.monotonic()
        return found

    async def _look(self, base: KnowledgeBase, index: Path) -> _State:
        if not await asyncio.to_thread(index.exists):
            async with self._database.transaction() as session:
                return _State("it is not there" if await Chunks(session).count(base.id) else "")
        try:
            comparison = await LexicalComparison.open(self._database, base.id, index)
            lacking, left = await comparison.difference()
            lost = await comparison.lost(SAMPLE, base.language)
        except LexicalIndexUnavailable:
            return _State("it cannot be read")
        return _State("", lacking, left, lost - lacking)

    def _orphans(self, bases: set[UUID], folder: Path) -> Finding | None:
        """Indexes of knowledge bases that are gone: a process that runs removes its own by itself."""
        with while_unused(folder) as unused:
            orphans = (
                [one for one in folder.iterdir() if base_of(one) not in {None, *bases}] if unused else []
            )
            for one in orphans if self._repair else ():
                shutil.rmtree(one)
        if not orphans:
            return None
        return Finding(
            "orphan_lexical_index",
            f"lexical index {folder.name}",
            "indexes of deleted knowledge bases, left by an api process that does not run",
            "rag doctor --repair, or the start of the next api process, removes them",
            len(orphans),
            len(orphans) if self._repair else 0,
            note=True,
        )


def _unused(base: KnowledgeBase, folder: Path, found: _State, *, mended: bool) -> Finding:
    return Finding(
        "unused_lexical_index",
        base.slug,
        f"lexical index {folder.name}, which no api process uses now: {found.what}",
        "the next api process that takes it over mends it by itself; rag doctor --repair removes it",
        found.count,
        found.count if mended else 0,
        _examples(found),
        note=True,
    )


def _in_use(base: KnowledgeBase, folder: Path, found: _State, *, mended: int) -> Finding:
    return Finding(
        "lexical_index",
        base.slug,
        f"lexical index {folder.name}, of an api process that runs: {found.what}",
        "rag doctor --repair has that process build it anew; if that does not help, see its log",
        found.count,
        mended,
        _examples(found),
    )


def _examples(found: _State) -> list[str]:
    return [str(id) for id in sorted(found.lacking | found.left | found.lost)[:EXAMPLES]]
