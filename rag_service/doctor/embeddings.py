"""Embeddings that nobody needs: they cost nothing but room."""

from collections.abc import AsyncIterator

from rag_service.db.engine import Database
from rag_service.doctor.findings import Finding, Watch
from rag_service.knowledge.leftovers import unused_embeddings


async def examine_embeddings(database: Database, *, repair: bool, watch: Watch) -> AsyncIterator[Finding]:
    """With `repair` those of no chunk are removed. Raises DatabaseUnavailable."""
    unused = await unused_embeddings(database, mend=repair, seen=watch("embeddings by chunk", None))
    if unused.count:
        yield Finding.of(
            unused,
            "orphan_embeddings",
            "embeddings",
            "stored embeddings belong to no chunk",
            "rag doctor --repair removes them; a worker does so by itself, once a day",
        )
