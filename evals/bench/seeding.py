"""A large knowledge base in a few minutes: files, rows and vectors as uploads and a worker would leave them, without
the time it takes to read and embed. The api's own follower indexes the words.

Vectors lie around those of real texts, as those of one subject do, and the texts are drawn from the same sentences:
both indexes have to tell chunks apart that are much alike.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from evals.bench.stack import Running
from ingest.chunking import TextChunk
from ingest.storing import row_of
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Document, DocumentVersion, Job, KnowledgeBase, new_id
from rag_service.db.repositories.chunks import Chunks, Embeddings
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.steps import Readable, Steps
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import ChromaIndex, VectorIndex, collection_name
from rag_service.settings import Settings

CHUNKS_OF_DOCUMENT = 10
DOCUMENTS_AT_ONCE = 250
NEARNESS = 0.7
"""Share of a vector that it has from a real text; the rest is its own."""
RARE_EVERY = 50
"""One document in so many has the tag `rare`."""
BETWEEN = "\n\n"
INDEXING_SECONDS = 600.0
"""Longest wait for Chroma to take in what belongs to some documents."""

Say = Callable[[str], None]


def seed(
    server: Running, slug: str, chunks: int, texts: Sequence[str], vectors: Vectors, *, say: Say = print
) -> None:
    """Make a knowledge base on a server and fill it; returns when it can be asked by words too."""
    # Words in a row are no question: none is to be refused.
    base = {"slug": slug, "name": slug, "refusal_score": 0}
    server.http.post("/api/v1/knowledge-bases", json=base).raise_for_status()
    asyncio.run(_fill_on(server, slug, chunks, Subjects(texts, vectors), say))
    time.sleep(2)  # until the follower has looked
    while "lexical" in server.http.get("/health/ready").json():
        time.sleep(0.5)


async def _fill_on(server: Running, slug: str, chunks: int, subjects: "Subjects", say: Say) -> None:
    settings = Settings(_env_file=None, state_dir=server.state).connected()
    assert settings.database_url and settings.chroma_url
    database = Database(settings.database_url.get_secret_value())
    index = ChromaIndex(settings.chroma_url, seconds=INDEXING_SECONDS)
    try:
        async with database.transaction() as session:
            base = await KnowledgeBases(session).by_slug(slug)
        await fill(database, index, BlobStore(settings.blob_dir), base, chunks, subjects, say=say)
    finally:
        await database.close()


@dataclass(frozen=True)
class Subjects:
    """What there is to write about: texts, and their vectors."""

    texts: Sequence[str]
    vectors: Vectors


@dataclass(frozen=True)
class _Written:
    """A document that is about to be readable; its `vectors` are of shape (len(chunks), dimensions)."""

    document: Document
    version: DocumentVersion
    job: Job
    chunks: Sequence[TextChunk]
    vectors: Vectors

    @property
    def ids(self) -> list[UUID]:
        return [chunk.id_in(self.version.id) for chunk in self.chunks]


async def fill(
    database: Database,
    index: VectorIndex,
    blobs: BlobStore,
    base: KnowledgeBase,
    chunks: int,
    subjects: Subjects,
    *,
    say: Say = print,
) -> None:
    """Put `chunks` chunks about `subjects` into a knowledge base that is empty.

    Half of the documents have the tag `even`, one in fifty `rare`. `say` is told how far it has come.
    """
    documents = chunks // CHUNKS_OF_DOCUMENT
    # Chroma takes the longest by far: meanwhile the next rows are written.
    indexing = asyncio.create_task(asyncio.sleep(0))
    for start in range(0, documents, DOCUMENTS_AT_ONCE):
        numbers = range(start, min(documents, start + DOCUMENTS_AT_ONCE))
        written = await asyncio.gather(*(_write(blobs, base, number, subjects) for number in numbers))
        await _store(database, base, written)
        await indexing
        say(f"{start * CHUNKS_OF_DOCUMENT:,} of {documents * CHUNKS_OF_DOCUMENT:,} chunks are there")
        indexing = asyncio.create_task(_activate(database, index, base, written))
    await indexing


async def _store(database: Database, base: KnowledgeBase, written: Sequence[_Written]) -> None:
    """The rows as they are before the vectors are in the index."""
    known = {
        chunk.content_hash: vector
        for one in written
        for chunk, vector in zip(one.chunks, one.vectors, strict=True)
    }
    async with database.transaction() as session:
        for some in ("document", "version", "job"):  # each needs the one before it
            session.add_all([getattr(one, some) for one in written])
            await session.flush()
        rows = (row_of(one.version.id, chunk) for one in written for chunk in one.chunks)
        await Chunks(session).replace([one.version.id for one in written], rows)
        await Embeddings(session).save(base.embedding_model, known)


async def _activate(
    database: Database, index: VectorIndex, base: KnowledgeBase, written: Sequence[_Written]
) -> None:
    collection = collection_name(base.id, base.embedding_model)
    ids = [id for one in written for id in one.ids]
    await index.upsert(collection, ids, np.concatenate([one.vectors for one in written]))
    async with database.transaction() as session:
        await Steps(session).activate(
            [Readable(one.job, "text/plain", None, None, len(one.chunks)) for one in written]
        )


async def _write(blobs: BlobStore, base: KnowledgeBase, number: int, subjects: Subjects) -> _Written:
    """The document of that number, its file stored; no row yet."""
    chunks, vectors = _content(number, subjects)
    content = BETWEEN.join(chunk.text for chunk in chunks).encode()

    async def stream() -> AsyncIterator[bytes]:
        yield content

    blob = await blobs.put(stream(), limit=len(content))
    tags = ["even" if number % 2 == 0 else "odd", *(["rare"] if number % RARE_EVERY == 0 else [])]
    document = Document(
        id=new_id(), knowledge_base_id=base.id, name=f"{number}.txt", tags=tags, attributes={"number": number}
    )
    version = DocumentVersion(
        id=new_id(), document_id=document.id, number=1, sha256=blob.sha256, size=blob.size, blob=blob.name
    )
    now = datetime.now(UTC)
    job = Job(
        id=new_id(),
        knowledge_base_id=base.id,
        document_id=document.id,
        version_id=version.id,
        state="succeeded",
        done=len(chunks),
        total=len(chunks),
        attempts=1,
        fence=1,
        started_at=now,
        finished_at=now,
    )
    return _Written(document, version, job, chunks, vectors)


def _content(number: int, subjects: Subjects) -> tuple[list[TextChunk], Vectors]:
    """Chunks one behind the other, and vectors of shape (len(chunks), dimensions); the same in every run."""
    chance = random.Random(number)
    chunks: list[TextChunk] = []
    about = [chance.randrange(len(subjects.texts)) for _ in range(CHUNKS_OF_DOCUMENT)]
    at = 0
    for ordinal, subject in enumerate(about):
        said, others = subjects.texts[subject].split(), chance.choice(subjects.texts).split()
        words = chance.sample(said, len(said) // 2) + others[: len(others) // 2]
        text = " ".join(words)
        chunks.append(TextChunk(ordinal, text, [], "", at, at + len(text), None, None, 4 * len(words) // 3))
        at += len(text) + len(BETWEEN)
    near = subjects.vectors[about]
    own = np.random.default_rng(number).standard_normal(near.shape).astype(np.float32) / near.shape[1] ** 0.5
    vectors = NEARNESS * near + (1 - NEARNESS) * own
    return chunks, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
