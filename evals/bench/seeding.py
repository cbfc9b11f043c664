"""A large knowledge base in a minute or two: rows, vectors and words go where a worker would put them, without it.

Vectors lie around those of real texts, as those of one subject do, and the texts are drawn from the same sentences:
both indexes have to tell chunks apart that are much alike.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import text

from evals.bench.stack import Running
from rag_service.db.engine import Database
from rag_service.db.models import Document, DocumentVersion, new_id
from rag_service.db.repositories.chunks import Chunks, Embeddings
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.lexical import ACTIVE_CHANNEL
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.vectors import ChromaIndex, collection_name
from rag_service.settings import Settings

CHUNKS_OF_DOCUMENT = 100
DOCUMENTS_AT_ONCE = 10
NEARNESS = 0.7
"""Share of a vector that it has from a real text; the rest is its own."""
RARE_EVERY = 50
"""One document in so many has the tag `rare`."""


def seed(server: Running, slug: str, chunks: int, texts: Sequence[str], vectors: Vectors) -> None:
    """Fill a knowledge base that is made here with `chunks` chunks about `texts`, whose vectors are `vectors`.

    Half of the documents have the tag `even`, one in fifty `rare`. Returns when they can be asked by words too.
    """
    server.http.post("/api/v1/knowledge-bases", json={"slug": slug, "name": slug}).raise_for_status()
    asyncio.run(_store(server, slug, chunks // CHUNKS_OF_DOCUMENT, texts, vectors))
    time.sleep(2)  # until the follower has looked
    while "lexical" in server.http.get("/health/ready").json():
        time.sleep(0.5)


async def _store(server: Running, slug: str, documents: int, texts: Sequence[str], vectors: Vectors) -> None:
    settings = Settings(_env_file=None, state_dir=server.state).connected()
    assert settings.database_url and settings.chroma_url
    database, index = Database(settings.database_url.get_secret_value()), ChromaIndex(settings.chroma_url)
    chance = np.random.default_rng(5)
    try:
        async with database.transaction() as session:
            base = await KnowledgeBases(session).by_slug(slug)
        collection = collection_name(base.id, base.embedding_model)
        for start in range(0, documents, DOCUMENTS_AT_ONCE):
            numbers = range(start, min(documents, start + DOCUMENTS_AT_ONCE))
            made = [_document(base.id, number) for number in numbers]
            rows = [row for _, version in made for row in _rows(version.id, texts)]
            about = vectors[[row.pop("about") for row in rows]]
            own = chance.standard_normal(about.shape).astype(np.float32) / about.shape[1] ** 0.5
            near = NEARNESS * about + (1 - NEARNESS) * own
            near /= np.linalg.norm(near, axis=1, keepdims=True)
            async with database.transaction() as session:
                session.add_all([document for document, _ in made])
                await session.flush()
                session.add_all([version for _, version in made])
                await session.flush()
                await Chunks(session).replace([version.id for _, version in made], rows)
                known = {row["content_hash"]: vector for row, vector in zip(rows, near, strict=True)}
                await Embeddings(session).save(base.embedding_model, known)
                await index.upsert(collection, [row["id"] for row in rows], near)
                for document, version in made:
                    document.active_version_id = version.id
                await session.execute(text(f"NOTIFY {ACTIVE_CHANNEL}"))
    finally:
        await database.close()


def _document(base: UUID, number: int) -> tuple[Document, DocumentVersion]:
    tags = ["even" if number % 2 == 0 else "odd", *(["rare"] if number % RARE_EVERY == 0 else [])]
    name = f"{number}.txt"
    document = Document(
        id=new_id(), knowledge_base_id=base, name=name, tags=tags, attributes={"number": number}
    )
    version = DocumentVersion(
        id=new_id(),
        document_id=document.id,
        number=1,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size=1,
        blob=document.id.hex,
        state="ready",
        title=name,
        chunk_count=CHUNKS_OF_DOCUMENT,
    )
    return document, version


def _rows(version: UUID, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    chance = random.Random(version.int)
    for ordinal in range(CHUNKS_OF_DOCUMENT):
        about = chance.randrange(len(texts))
        said = texts[about].split()
        others = texts[chance.randrange(len(texts))].split()
        content = " ".join(chance.sample(said, len(said) // 2) + others[: len(others) // 2])
        yield {
            "id": UUID(bytes=chance.randbytes(16)),
            "version_id": version,
            "ordinal": ordinal,
            "text": content,
            "headings": [],
            "context": "",
            "page": None,
            "page_end": None,
            "char_start": ordinal * 2000,
            "char_end": ordinal * 2000 + len(content),
            "tokens": len(content) // 4,
            "content_hash": hashlib.sha256(content.encode()).hexdigest(),
            "about": about,
        }
