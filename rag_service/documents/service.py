"""Documents: listed, described, deleted; their chunks, versions and original files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.models import Chunk, Document, DocumentVersion, Job, KnowledgeBase
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.knowledge_bases import KnowledgeBases, look_up, no_such
from rag_service.db.repositories.versions import Versions
from rag_service.errors import NotFound


@dataclass(frozen=True)
class Listed:
    """A document with its newest version and that version's job."""

    document: Document
    version: DocumentVersion | None
    job: Job | None


@dataclass(frozen=True)
class Original:
    """An original file, and what it is called and known to be."""

    filename: str
    media_type: str | None
    path: Path


class DocumentService:
    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    async def knowledge_base(self, slug: str) -> KnowledgeBase:
        """Raises NotFound where there is none."""
        found = await look_up(self._database, slug)
        if found is None:
            raise no_such(slug)
        return found

    async def delete_knowledge_base(self, slug: str) -> None:
        """Take a knowledge base and all in it out of sight at once. Raises NotFound where there is none."""
        async with self._database.transaction() as session:
            knowledge_base_id = await KnowledgeBases(session).hide(slug)
            await Documents(session).delete_all(knowledge_base_id)
            await record(
                session, "knowledge_base.deleted", knowledge_base_id, knowledge_base_id=knowledge_base_id
            )

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

    async def describe(
        self, document_id: UUID, *, attributes: Mapping[str, Any] | None, tags: Sequence[str] | None
    ) -> Listed:
        """Give a document other attributes or tags; None leaves them as they are. Raises NotFound."""
        async with self._database.transaction() as session:
            documents = Documents(session)
            document = await documents.locked(document_id)
            documents.describe(document, attributes=attributes, tags=tags)
            given = {"metadata": attributes, "tags": tags}
            changed = [name for name, value in given.items() if value is not None]
            await _record(session, "document.changed", document, changed=changed)
            return Listed(document, *await documents.newest(document.id))

    async def delete(self, document_id: UUID) -> None:
        """Take a document out of every answer from now on. Raises NotFound where there is none."""
        async with self._database.transaction() as session:
            await _record(session, "document.deleted", await Documents(session).delete(document_id))

    async def chunks(self, document_id: UUID, *, after: int, limit: int) -> list[Chunk]:
        """Chunks of the active version in order of the text. Raises NotFound before there is one."""
        async with self._database.transaction() as session:
            document = await Documents(session).get(document_id)
            if document.active_version_id is None:
                raise NotFound("This document has not been read yet.", code="document_not_ready")
            return await Chunks(session).page_of(document.active_version_id, after=after, limit=limit)

    async def versions(
        self, document_id: UUID, *, before: int | None, limit: int
    ) -> tuple[Document, list[DocumentVersion]]:
        """A document and its versions, the newest first. Raises NotFound."""
        async with self._database.transaction() as session:
            document = await Documents(session).get(document_id)
            return document, await Versions(session).page(document.id, before=before, limit=limit)

    async def read_again(self, document_id: UUID, number: int | None) -> tuple[Document, Job]:
        """Make a new version of the bytes of an earlier one, or of the active one (None).

        Raises:
            NotFound: no such document, or no such version of it.
            Conflict: that version cannot be restored.
        """
        async with self._database.transaction() as session:
            document = await Documents(session).locked(document_id)
            job = await Versions(session).again(document, number)
            action = "document.reindexed" if number is None else "document.restored"
            await _record(session, action, document, version=number, job=str(job.id))
            return document, job

    async def original(self, document_id: UUID, number: int | None) -> Original:
        """The file that a version was made of; of the active one, or else the newest, where `number` is None.

        Raises:
            NotFound: no such document or version, or its file is gone.
        """
        async with self._database.transaction() as session:
            document = await Documents(session).get(document_id)
            version = await Versions(session).chosen(document, number)
        path = self._blobs.path(version.blob)
        if not path.is_file():
            raise NotFound("The original file is not in the store any more.", code="content_missing")
        return Original(document.name, version.media_type, path)


async def _record(session: AsyncSession, action: str, document: Document, **details: Any) -> None:
    await record(session, action, document.id, knowledge_base_id=document.knowledge_base_id, **details)
