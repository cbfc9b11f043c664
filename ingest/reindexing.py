"""A knowledge base's vectors made anew: from stored embeddings, or with another model, while questions are answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from ingest.chunking import embedded_text
from rag_service.db.engine import Database
from rag_service.db.models import Chunk, KnowledgeBase
from rag_service.db.repositories.chunks import Chunks, Embeddings
from rag_service.db.repositories.consistency import Consistency
from rag_service.knowledge.consistency import Comparison, Seen
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.rebuild import catch_up, forget_previous, rebuild, rebuilding, switch
from rag_service.knowledge.vectors import VectorIndex

PAGE = 1024
BATCH = 128
"""Texts embedded and stored in one go: what a kill can lose."""

Outcome = Literal["rebuilt", "changed over"]


@dataclass(frozen=True)
class Reindexing:
    """Makes vectors anew. Cut short at any point and run again it goes on where it was: embeddings are kept."""

    database: Database
    vectors: VectorIndex
    embedder: Embedder
    watch: Callable[[str, int | None], Seen]

    async def run(self, base: KnowledgeBase) -> Outcome:
        """Rebuild the collection; or change the knowledge base over, where its model is not the embedder's.

        Raises:
            Conflict: another process is doing it.
            EmbedderUnavailable, VectorIndexUnavailable, DatabaseUnavailable: run it again.
        """
        async with rebuilding(self.database, base.id):
            if base.embedding_model != self.embedder.fingerprint:
                await self._change_over(base)
                return "changed over"
            await self._embed(base)
            await rebuild(
                self.database,
                self.vectors,
                base.id,
                base.embedding_model,
                seen=self.watch(f"{base.slug}: storing", await self._size(base)),
            )
            await forget_previous(self.database, self.vectors, base.id)
            return "rebuilt"

    async def _change_over(self, base: KnowledgeBase) -> None:
        model = self.embedder.fingerprint
        new = Comparison(self.database, self.vectors, base.id, model)
        while True:
            await self._embed(base)
            seen = self.watch(f"{base.slug}: storing", await self._size(base))
            await new.missing(mend=True, seen=seen)
            if await switch(self.database, self.vectors, base.id, model):
                break
        await catch_up(self.database, self.vectors, base.id, model)

    async def _size(self, base: KnowledgeBase) -> int:
        async with self.database.transaction() as session:
            return await Chunks(session).count(base.id)

    async def _embed(self, base: KnowledgeBase) -> None:
        """Embed every active chunk that this model has not embedded yet."""
        model = self.embedder.fingerprint
        async with self.database.transaction() as session:
            total = await Consistency(session).count_without_embedding(base.id, model)
        if not total:
            return
        seen = self.watch(f"{base.slug}: embedding", total)
        after: UUID | None = None
        while True:
            async with self.database.transaction() as session:
                page = await Consistency(session).without_embedding(base.id, model, after=after, limit=PAGE)
            if not page:
                return
            after = page[-1].id
            # By length, so that a batch holds texts of one size and little is padding.
            distinct = sorted({chunk.content_hash: chunk for chunk in page}.values(), key=_length)
            for start in range(0, len(distinct), BATCH):
                await self._embed_batch(distinct[start : start + BATCH])
                seen(len(distinct[start : start + BATCH]))
            seen(len(page) - len(distinct))

    async def _embed_batch(self, chunks: Sequence[Chunk]) -> None:
        texts = [embedded_text(chunk.headings, chunk.context, chunk.text) for chunk in chunks]
        vectors = await self.embedder.embed_texts(texts)
        hashes = [chunk.content_hash for chunk in chunks]
        async with self.database.transaction() as session:
            await Embeddings(session).save(self.embedder.fingerprint, dict(zip(hashes, vectors, strict=True)))


def _length(chunk: Chunk) -> int:
    return chunk.tokens
