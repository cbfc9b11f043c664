"""Accepting uploads: bytes to the blob store, then document, version and job in one transaction."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Chunk, Document, DocumentVersion, Job, KnowledgeBase
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.documents import Accepted, Documents, clean_name
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import NotFound, TooLarge


@dataclass(frozen=True)
class Listed:
    """A document with its newest version and that version's job."""

    document: Document
    version: DocumentVersion | None
    job: Job | None


class DocumentService:
    def __init__(self, database: Database, blobs: BlobStore, *, max_file_bytes: int) -> None:
        self._database = database
        self._blobs = blobs
        self._max_file_bytes = max_file_bytes

    async def knowledge_base(self, slug: str) -> KnowledgeBase:
        """Raises NotFound where there is none."""
        async with self._database.transaction() as session:
            return await KnowledgeBases(session).by_slug(slug)

    def check_size(self, raw_name: str, size: int) -> None:
        """Raises TooLarge for a file above the limit; ask of all files before the first is taken in."""
        if size > self._max_file_bytes:
            raise TooLarge(
                f"{_shown(raw_name)} is larger than the limit of {self._max_file_bytes:,} bytes "
                "(RAG_MAX_FILE_BYTES). No file of this upload was taken in."
            )

    async def upload(
        self, knowledge_base: KnowledgeBase, raw_name: str, data: AsyncIterator[bytes]
    ) -> Accepted:
        """Take one file in. What was stored of it is removed again unless a version came of it.

        Raises:
            TooLarge: the file is above the limit.
        """
        blob = await self._blobs.put(data, limit=self._max_file_bytes)
        kept = False
        try:
            async with self._database.transaction() as session:
                accepted = await Documents(session).accept(knowledge_base, _shown(raw_name), blob)
            kept = accepted.job is not None
            return accepted
        finally:
            if not kept:
                self._blobs.delete(blob.name)

    async def page(self, slug: str, *, after: UUID | None, limit: int) -> list[Listed]:
        """Documents of a knowledge base in the order they came."""
        async with self._database.transaction() as session:
            knowledge_base = await KnowledgeBases(session).by_slug(slug)
            rows = await Documents(session).page(knowledge_base.id, after=after, limit=limit)
        return [Listed(*row) for row in rows]

    async def get(self, document_id: UUID) -> Listed:
        """Raises NotFound where there is none."""
        async with self._database.transaction() as session:
            documents = Documents(session)
            document = await documents.get(document_id)
            return Listed(document, *await documents.newest(document.id))

    async def delete(self, document_id: UUID) -> None:
        """Take a document out of every answer from now on. Raises NotFound where there is none."""
        async with self._database.transaction() as session:
            await Documents(session).delete(document_id)

    async def chunks(self, document_id: UUID, *, after: int, limit: int) -> list[Chunk]:
        """Chunks of the active version in order of the text. Raises NotFound before there is one."""
        async with self._database.transaction() as session:
            document = await Documents(session).get(document_id)
            if document.active_version_id is None:
                raise NotFound("This document has not been read yet.", code="document_not_ready")
            return await Chunks(session).page_of(document.active_version_id, after=after, limit=limit)


def _shown(raw_name: str) -> str:
    """A file's name to show. A browser may send a path: only its last part is a name."""
    return clean_name(raw_name.replace("\\", "/").rpartition("/")[2])
