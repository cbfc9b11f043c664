"""`python -m tests.integration.dying_worker POINT DATABASE_URL CHROMA_URL BLOB_DIR`: a worker that kills itself.

It is the real worker on real servers; only at the point named it is gone, as after `kill -9`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.orm import Session

from ingest.pipeline import Pipeline
from ingest.sandbox import Extractor
from ingest.worker import Worker
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Job
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.testing.embedder import HashedWords

POINTS = (
    "reading",
    "chunking",
    "embedding",
    "before the vectors are stored",
    "after the vectors are stored",
    "before the commit that activates",
    "after the commit that activates",
)
LEASE = timedelta(seconds=1)


class Dying:
    def __init__(self, point: str) -> None:
        self._point = point

    def at(self, point: str) -> None:
        if point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingBlobs(BlobStore):
    def __init__(self, root: Path, dying: Dying) -> None:
        super().__init__(root)
        self._dying = dying

    def path(self, name: str) -> Path:
        self._dying.at("reading")
        return super().path(name)


class DyingEmbedder(HashedWords):
    def __init__(self, dying: Dying) -> None:
        super().__init__()
        self._dying = dying

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        self._dying.at("chunking")
        return super().token_spans(texts)

    async def embed_texts(self, texts: Any) -> Vectors:
        self._dying.at("embedding")
        return await super().embed_texts(texts)


class DyingIndex(ChromaIndex):
    def __init__(self, url: str, dying: Dying) -> None:
        super().__init__(url)
        self._dying = dying

    async def upsert(self, collection: str, ids: Sequence[UUID], vectors: Vectors) -> None:
        self._dying.at("before the vectors are stored")
        await super().upsert(collection, ids, vectors)
        self._dying.at("after the vectors are stored")


def die_around_the_end(dying: Dying) -> None:
    """Kill the process around the commit of the transaction that ends a job."""
    ending: set[Session] = set()

    @event.listens_for(Session, "do_orm_execute")
    def notice(state: Any) -> None:
        values = getattr(state.statement, "_values", None) or {}
        if state.is_update and any(getattr(column, "name", "") == Job.finished_at.key for column in values):
            ending.add(state.session)

    @event.listens_for(Session, "before_commit")
    def before(session: Session) -> None:
        if session in ending:
            session.flush()
            dying.at("before the commit that activates")

    @event.listens_for(Session, "after_commit")
    def after(session: Session) -> None:
        if session in ending:
            dying.at("after the commit that activates")


async def main(point: str, database_url: str, chroma_url: str, blob_dir: str) -> None:
    dying = Dying(point)
    die_around_the_end(dying)
    database = Database(database_url, pool=4)
    async with Extractor(seconds=60, memory_mb=1024) as extractor:
        pipeline = Pipeline(
            database=database,
            blobs=DyingBlobs(Path(blob_dir), dying),
            vectors=DyingIndex(chroma_url, dying),
            embedder=DyingEmbedder(dying),
            extractor=extractor,
            chunk_tokens=60,
            lease=LEASE,
        )
        await Worker(database, pipeline, attempts=4).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
