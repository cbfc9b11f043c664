"""Accepting uploads: bytes to the blob store, then documents, versions and jobs in one transaction."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.blobs import BlobStore, StoredBlob
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.documents import Accepted, Documents, OnConflict, clean_name
from rag_service.db.repositories.idempotency import Answer, Once
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.documents.content import check_content
from rag_service.errors import TooLarge
from rag_service.knowledge.model_check import check_model


@dataclass(frozen=True)
class File:
    """A file that was sent: what it is called and says of itself, its first bytes, and all of them."""

    raw_name: str
    declared_type: str | None
    size: int
    head: bytes
    blocks: AsyncIterator[bytes]

    @property
    def name(self) -> str:
        """The name to show. A browser may send a path: only its last part is a name."""
        return clean_name(self.raw_name.replace("\\", "/").rpartition("/")[2])


@dataclass(frozen=True)
class Handling:
    """What is to be done with the files of an upload. Attributes or tags of None leave a document's as they are."""

    on_conflict: OnConflict = "version"
    attributes: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None


@dataclass(frozen=True)
class Stored:
    """A file whose bytes are in the store."""

    name: str
    blob: StoredBlob


@dataclass(frozen=True)
class Taken:
    """A stored file, and what became of it."""

    stored: Stored
    accepted: Accepted


class UploadService:
    def __init__(
        self, database: Database, blobs: BlobStore, *, max_file_bytes: int, embedding_model: str
    ) -> None:
        """`embedding_model` is the fingerprint of this process's own."""
        self._database = database
        self._blobs = blobs
        self._embedding_model = embedding_model
        self._max_file_bytes = max_file_bytes

    async def upload(
        self,
        slug: str,
        files: Sequence[File],
        handling: Handling,
        *,
        once: Once,
        tell: Callable[[Sequence[Accepted]], Answer],
    ) -> Answer:
        """Take files in, all of them or none; what `tell` makes of it. Nothing stays in the store that no version is
        made of.

        Raises:
            NotFound: no such knowledge base.
            EmbeddingModelMismatch: its vectors are of a model that this process has not.
            TooLarge: a file is above the limit.
            UnreadableDocument: one is not what it calls itself.
            Conflict: one of its name exists, and is not to be touched.
            StorageFull: the disk is full.
            InvalidInput: the request's key came with another request before.
        """
        async with self._database.reading() as session:
            knowledge_base = await KnowledgeBases(session).by_slug(slug)
        check_model(knowledge_base, self._embedding_model)
        for file in files:
            self._check(file)
        stored: list[Stored] = []
        kept: set[str] = set()
        try:
            for file in files:
                blob = await self._blobs.put(file.blocks, limit=self._max_file_bytes)
                stored.append(Stored(file.name, blob))
            async with self._database.transaction() as session:
                taken: list[Taken] = []

                async def take_in() -> Answer:
                    taken.extend(await _enter(session, knowledge_base, stored, handling))
                    await _record(session, knowledge_base, taken)
                    return tell([one.accepted for one in taken])

                answer = await once.answer(session, _said(knowledge_base, stored, handling), take_in)
            kept = {one.stored.blob.name for one in taken if one.accepted.job is not None}
            return answer
        finally:
            for one in stored:
                if one.blob.name not in kept:
                    self._blobs.delete(one.blob.name)

    def _check(self, file: File) -> None:
        if file.size > self._max_file_bytes:
            raise TooLarge(
                f"{file.name} is larger than the limit of {self._max_file_bytes:,} bytes "
                "(RAG_MAX_FILE_BYTES). No file of this upload was taken in."
            )
        check_content(file.name, file.declared_type, file.head)


async def _enter(
    session: AsyncSession, knowledge_base: KnowledgeBase, files: Sequence[Stored], handling: Handling
) -> list[Taken]:
    """What became of each file."""
    documents = Documents(session)
    taken: list[Taken] = []
    for stored in files:
        accepted = await documents.accept(
            knowledge_base,
            stored.name,
            stored.blob,
            on_conflict=handling.on_conflict,
            attributes=handling.attributes,
            tags=handling.tags,
        )
        taken.append(Taken(stored, accepted))
    return taken


async def _record(session: AsyncSession, knowledge_base: KnowledgeBase, taken: Sequence[Taken]) -> None:
    """One entry a file: of each document it can be told who put which version there."""
    for one in taken:
        await record(
            session,
            "document.uploaded",
            one.accepted.document.id,
            knowledge_base_id=knowledge_base.id,
            outcome=one.accepted.outcome,
            sha256=one.stored.blob.sha256,
        )


def _said(knowledge_base: KnowledgeBase, files: Sequence[Stored], handling: Handling) -> str:
    """All that an upload asks for, as text: the same for the same request."""
    asked = [
        "upload",
        str(knowledge_base.id),
        asdict(handling),
        [[stored.name, stored.blob.sha256] for stored in files],
    ]
    return json.dumps(asked, sort_keys=True)
