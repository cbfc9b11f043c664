"""The vector index: every knowledge base's collection, and collections that belong to none."""

import re
from collections.abc import AsyncIterator
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.locks import locked
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.consistency import Consistency
from rag_service.doctor.findings import Finding, Watch
from rag_service.errors import VectorIndexUnavailable
from rag_service.knowledge.consistency import Comparison
from rag_service.knowledge.rebuild import forget_previous, rebuild, rebuilding
from rag_service.knowledge.vectors import VectorIndex, collection_name, successor

SAMPLE = 100
"""Chunks of a knowledge base whose own vectors are searched for."""

OURS = re.compile(r"kb-[0-9a-f]{32}-[0-9a-f]{8}(-next)?")


class VectorExamination:
    """Examines the vector index. With `repair` it mends what it finds."""

    def __init__(self, database: Database, vectors: VectorIndex, *, repair: bool, watch: Watch) -> None:
        self._database = database
        self._vectors = vectors
        self._repair = repair
        self._watch = watch

    async def examine(self) -> AsyncIterator[Finding]:
        """Raises DatabaseUnavailable, VectorIndexUnavailable."""
        await self._vectors.ping()
        async with self._database.transaction() as session:
            bases = await Consistency(session).living()
        for base in bases:
            async with locked(self._database, f"rebuild {base.id}") as free:
                if not free:
                    yield _under_way(base)
            if free:
                async for finding in self._base(base):
                    yield finding
        async for finding in self._orphans(bases):
            yield finding

    async def _base(self, base: KnowledgeBase) -> AsyncIterator[Finding]:
        async with self._database.transaction() as session:
            chunks = await Chunks(session).count(base.id)
            bare = await Consistency(session).count_without_embedding(base.id, base.embedding_model)
        if bare:
            yield Finding(
                "missing_embeddings",
                base.slug,
                "active chunks have no stored embedding under the knowledge base's model",
                f"embed them: rag-ingest reindex --knowledge-base {base.slug}",
                bare,
            )
        try:
            async for finding in self._compare(base, chunks):
                yield finding
        except VectorIndexUnavailable:
            await self._vectors.ping()  # if the server itself is gone, that is what there is to say
            yield await self._unreadable(base)

    async def _compare(self, base: KnowledgeBase, chunks: int) -> AsyncIterator[Finding]:
        comparison = Comparison(self._database, self._vectors, base.id, base.embedding_model)
        if successor(comparison.collection) in await self._vectors.collections():
            yield await self._unfinished(base)
        stale = await comparison.stale(
            mend=self._repair,
            seen=self._watch(
                f"{base.slug}: vectors by chunk", await self._vectors.count(comparison.collection)
            ),
        )
        if stale.count:
            yield Finding.of(
                stale,
                "stale_vectors",
                base.slug,
                "vectors belong to no readable chunk",
                "rag doctor --repair",
            )
        missing = await comparison.missing(
            mend=self._repair, seen=self._watch(f"{base.slug}: chunks by vector", chunks)
        )
        if missing.count:
            yield Finding.of(
                missing,
                "missing_vectors",
                base.slug,
                "active chunks have no vector, and cannot be found",
                "rag doctor --repair; where no embedding is stored: "
                f"rag-ingest reindex --knowledge-base {base.slug}",
            )
        sample = min(SAMPLE, chunks)
        seen = self._watch(f"{base.slug}: searching for chunks by their own vectors", sample)
        lost = await comparison.lost(sample, seen=seen)
        if lost.count and self._repair:
            await self._rebuild(base)
            lost.mended = lost.count - (await comparison.lost(sample)).count
        if lost.count:
            yield Finding.of(
                lost,
                "lost_vectors",
                base.slug,
                f"of {sample} chunks tried are not found by their own vectors: the collection is damaged",
                f"rag doctor --repair, or rag-ingest reindex --knowledge-base {base.slug}",
            )

    async def _unfinished(self, base: KnowledgeBase) -> Finding:
        if self._repair:
            await self._rebuild(base)
        return Finding(
            "unfinished_rebuild",
            base.slug,
            "a rebuild of its collection was cut short",
            f"rag doctor --repair, or rag-ingest reindex --knowledge-base {base.slug}",
            mended=int(self._repair),
        )

    async def _unreadable(self, base: KnowledgeBase) -> Finding:
        """A collection that cannot be read has nothing to keep: it is dropped and built from what is stored."""
        mended = 0
        if self._repair:
            name = collection_name(base.id, base.embedding_model)
            try:
                await self._vectors.drop(successor(name))
                await self._vectors.drop(name)
                await self._rebuild(base)
                mended = 1
            except VectorIndexUnavailable:
                await self._vectors.ping()
        return Finding(
            "unreadable_collection",
            base.slug,
            "its collection cannot be read",
            "rag doctor --repair; if that does not help, stop the Chroma server, empty its folder, start it and "
            "repair again: everything in it can be rebuilt",
            mended=mended,
        )

    async def _rebuild(self, base: KnowledgeBase) -> None:
        async with rebuilding(self._database, base.id):
            await rebuild(
                self._database,
                self._vectors,
                base.id,
                base.embedding_model,
                seen=self._watch(f"{base.slug}: rebuilding", None),
            )

    async def _orphans(self, bases: list[KnowledgeBase]) -> AsyncIterator[Finding]:
        async with self._database.transaction() as session:
            owed = await Consistency(session).collections_to_drop()
        used = {collection_name(base.id, base.embedding_model) for base in bases}
        previous = {
            collection_name(base.id, base.previous_embedding_model): base
            for base in bases
            if base.previous_embedding_model and base.previous_embedding_model != base.embedding_model
        }
        ours = {name for name in await self._vectors.collections() if OURS.fullmatch(name)}
        known = used | set(previous) | owed
        orphans = sorted(name for name in ours if name.removesuffix("-next") not in known)
        # Where nothing at all is known, this is more likely another installation's server than a heap of rubbish.
        foreign = bool(orphans) and not ours & known
        for name in orphans:
            yield await self._orphan(name, foreign=foreign)
        for name in sorted(ours & set(previous)):
            yield await self._previous(previous[name])

    async def _orphan(self, name: str, *, foreign: bool) -> Finding:
        mended = 0
        if self._repair and not foreign:
            async with locked(self._database, f"rebuild {UUID(name[3:35])}") as free:
                if free:
                    await self._vectors.drop(name)
                    mended = 1
        todo = "rag doctor --repair drops it"
        if foreign:
            todo = (
                "not dropped: no collection on this server belongs to this database. Check DATABASE_URL and "
                "CHROMA_URL; a Chroma server must not be shared by two installations"
            )
        return Finding(
            "orphan_collection",
            name,
            "the collection belongs to no knowledge base and no model in use",
            todo,
            mended=mended,
        )

    async def _previous(self, base: KnowledgeBase) -> Finding:
        if self._repair:
            async with rebuilding(self._database, base.id):
                await forget_previous(self._database, self._vectors, base.id)
        return Finding(
            "previous_collection",
            base.slug,
            f"vectors of the previous model, {base.previous_embedding_model}, are kept for processes that still use it",
            "once all processes run with the new model: rag doctor --repair",
            mended=int(self._repair),
            note=True,
        )


def _under_way(base: KnowledgeBase) -> Finding:
    return Finding(
        "reindex_under_way",
        base.slug,
        "it is being reindexed just now, and was not examined",
        "run rag doctor again when that is done",
        note=True,
    )
