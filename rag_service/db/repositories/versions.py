"""Queries on the versions of documents: their history, the next one, and one that is there again."""

from uuid import UUID

from sqlalchemy import ScalarSelect, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.blobs import StoredBlob
from rag_service.db.models import Document, DocumentVersion, Job, new_id
from rag_service.db.repositories.jobs import JOBS_CHANNEL
from rag_service.errors import Conflict, NotFound


class Versions:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    @staticmethod
    def _newest(document_id: UUID) -> ScalarSelect[int]:
        return (
            select(func.max(DocumentVersion.number))
            .where(DocumentVersion.document_id == document_id)
            .correlate(None)
            .scalar_subquery()
        )

    async def numbered(self, document_id: UUID, number: int) -> DocumentVersion:
        """Raises NotFound where the document has no version of that number."""
        found = await self._session.scalar(
            select(DocumentVersion).where(
                DocumentVersion.document_id == document_id, DocumentVersion.number == number
            )
        )
        if found is None:
            raise NotFound(f"This document has no version {number}.", code="version_not_found")
        return found

    async def chosen(self, document: Document, number: int | None) -> DocumentVersion:
        """The version of that number; where it is None the active one, or, before there is one, the newest.

        Raises:
            NotFound: the document has no such version.
        """
        if number is None:
            number = await self._session.scalar(
                select(DocumentVersion.number)
                .where(DocumentVersion.document_id == document.id)
                .order_by((DocumentVersion.id == document.active_version_id).desc().nulls_last())
                .order_by(DocumentVersion.number.desc())
                .limit(1)
            )
        return await self.numbered(document.id, number or 0)

    async def page(self, document_id: UUID, *, before: int | None, limit: int) -> list[DocumentVersion]:
        """Versions of a document, the newest first."""
        statement = (
            select(DocumentVersion)
            .where(DocumentVersion.document_id == document_id)
            .order_by(DocumentVersion.number.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(DocumentVersion.number < before)
        return list(await self._session.scalars(statement))

    async def add(
        self,
        document: Document,
        blob: StoredBlob,
        *,
        is_first: bool = False,
        restored_from: int | None = None,
    ) -> Job:
        """The next version of a document, which the caller has locked, and the job that will read it."""
        newest = 0 if is_first else await self._session.scalar(select(self._newest(document.id)))
        version = DocumentVersion(
            id=new_id(),
            document_id=document.id,
            number=(newest or 0) + 1,
            sha256=blob.sha256,
            size=blob.size,
            blob=blob.name,
            state="pending",
            restored_from=restored_from,
        )
        job = Job(
            id=new_id(),
            knowledge_base_id=document.knowledge_base_id,
            document_id=document.id,
            version_id=version.id,
            state="queued",
            done=0,
            total=0,
            attempts=0,
            warnings=[],
            fence=0,
        )
        self._session.add_all([version, job])
        await self._session.flush()
        await self._session.execute(text(f"NOTIFY {JOBS_CHANNEL}"))
        return job

    async def again(self, document: Document, number: int | None) -> Job:
        """Enter the bytes of an earlier version, or of the active one (None), as a new version.

        History stays a line: the version that was restored is the newest one. Asked for again while that one is
        still to be read, it is the same version and job. The caller has locked the document.

        Raises:
            NotFound: there is no such version of it.
            Conflict: it cannot be restored, as no text came of it, or it is the active one.
        """
        wanted = await self._restorable(document, number)
        waiting = await self._session.scalar(
            select(Job)
            .join(DocumentVersion, DocumentVersion.id == Job.version_id)
            .where(
                DocumentVersion.document_id == document.id,
                DocumentVersion.state == "pending",
                DocumentVersion.blob == wanted.blob,
                DocumentVersion.number == self._newest(document.id),
            )
        )
        if waiting is not None:
            return waiting
        blob = StoredBlob(wanted.blob, wanted.sha256, wanted.size)
        return await self.add(document, blob, restored_from=wanted.number)

    async def _restorable(self, document: Document, number: int | None) -> DocumentVersion:
        if number is None:
            return await self._active(document)
        version = await self.numbered(document.id, number)
        if version.id == document.active_version_id:
            raise Conflict(
                f"Version {number} is the one in force; to read it anew, use `reindex`.",
                code="version_is_active",
            )
        if version.state != "ready":
            raise Conflict(
                f"Version {number} could not be read, or is not read yet: only one that was can be restored.",
                code="version_not_ready",
            )
        return version

    async def _active(self, document: Document) -> DocumentVersion:
        found = await self._session.scalar(
            select(DocumentVersion).where(DocumentVersion.id == document.active_version_id)
        )
        if found is None:
            raise Conflict(
                "No version of this document could be read yet: upload it again.", code="document_not_ready"
            )
        return found
