"""One knowledge base's active chunks against one lexical index of it. Reads only: a process may be using the files."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.lexical import Lexical, part_of
from rag_service.knowledge.tantivy_files import IndexFiles
from rag_service.knowledge.terms import terms

MOST_HITS = 1000
"""Of a document's chunks so many that its own words find; one that is not among them may be behind them."""


class LexicalComparison:
    """Compares what the index in `folder` held when this was opened."""

    def __init__(self, database: Database, knowledge_base_id: UUID, files: IndexFiles) -> None:
        self._database = database
        self._base = knowledge_base_id
        self._files = files

    @classmethod
    async def open(cls, database: Database, knowledge_base_id: UUID, folder: Path) -> "LexicalComparison":
        """Raises LexicalIndexUnavailable where the files are damaged, or are being replaced just now."""
        files = await asyncio.to_thread(IndexFiles, folder, make=False)
        return cls(database, knowledge_base_id, files)

    async def difference(self) -> tuple[set[UUID], set[UUID]]:
        """The active chunks that the index lacks, and those in it that are not active.

        Raises:
            LexicalIndexUnavailable, DatabaseUnavailable
        """
        lacking, left = set[UUID](), set[UUID]()
        held: dict[int, dict[UUID, int]] = defaultdict(dict)
        for version, chunks in (await asyncio.to_thread(self._files.chunks_of_versions)).items():
            held[part_of(version)][version] = chunks
        async with self._database.transaction() as session:
            wanted = await Lexical(session).parts(self._base)
        for part in sorted(held.keys() | wanted.keys()):
            async with self._database.transaction() as session:
                active = await Lexical(session).chunk_ids(self._base, part)
            indexed = await asyncio.to_thread(self._files.chunks, held[part])
            lacking |= active - indexed
            left |= indexed - active
        return lacking, left

    async def lost(self, limit: int, language: str | None) -> set[UUID]:
        """Those of `limit` active chunks that their own words do not find."""
        async with self._database.transaction() as session:
            sample = await Lexical(session).sample(self._base, limit)
        return await asyncio.to_thread(self._unfound, sample, language)

    def _unfound(self, sample: Mapping[UUID, tuple[UUID, str]], language: str | None) -> set[UUID]:
        return {
            chunk
            for chunk, (document, text) in sample.items()
            if (asked := terms(text, language)) and not self._finds(chunk, document, asked)
        }

    def _finds(self, chunk: UUID, document: UUID, asked: Collection[str]) -> bool:
        hits = self._files.search(list(asked), MOST_HITS, [document])
        return len(hits) == MOST_HITS or any(id == chunk for id, _ in hits)
