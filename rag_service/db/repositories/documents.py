"""Queries on documents and their versions."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.blobs import StoredBlob
from rag_service.db.models import Document, DocumentVersion, Job, KnowledgeBase, new_id
from rag_service.db.repositories.jobs import JOBS_CHANNEL, Jobs
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.lexical import ACTIVE_CHANNEL
from rag_service.db.repositories.versions import Versions
from rag_service.errors import Conflict, NotFound

Outcome = Literal["added", "updated", "unchanged", "skipped"]
OnConflict = Literal["version", "skip", "reject"]


def clean_name(raw: str) -> str:
    """A file name fit for display: no control or direction-changing characters, at most 255 long.

    It never names anything on disk, so what remains of `../` is harmless text.
    """
    visible = "".join(
        char
        for char in unicodedata.normalize("NFC", raw)
        if unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
    )
    name = re.sub(r"\s+", " ", visible.replace("\\", "/")).strip(" /")
    return name[-255:] or "untitled"


def _no_such_document() -> NotFound:
    return NotFound("There is no such document.", code="document_not_found")


@dataclass(frozen=True)
class Accepted:
    """What became of an upload: the document, and the job that will read it (None where there is nothing new)."""

    document: Document
    job: Job | None
    outcome: Outcome


class Documents:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def accept(
        self,
        knowledge_base: KnowledgeBase,
        name: str,
        blob: StoredBlob,
        *,
        on_conflict: OnConflict = "version",
        attributes: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Accepted:
        """Enter uploaded bytes as a new document, or a new version of the one of that name.

        One caller at a time: two uploads of the same files in another order would else wait for each other, for ever.

        Document, version and job come into being in the caller's transaction, and the worker is
        woken when it commits. Bytes equal to the active version's, or to one still being read, are
        `unchanged`. Attributes and tags that are given take the place of those the document has.

        Raises:
            NotFound: the knowledge base was deleted.
            Conflict: there is one of that name, and `on_conflict` is `reject`.
        """
        await KnowledgeBases(self._session).lock(knowledge_base)
        document, is_new = await self._lock_or_create(knowledge_base.id, name)
        if not is_new and on_conflict == "skip":
            return Accepted(document, None, "skipped")
        if not is_new and on_conflict == "reject":
            raise Conflict(
                f"There is a document called {name!r} already, and on_conflict is `reject`. No file of this "
                "upload was taken in.",
                code="document_exists",
            )
        self.describe(document, attributes=attributes, tags=tags)
        if not is_new and await self._is_latest(document.id, blob):
            return Accepted(document, None, "unchanged")
        job = await Versions(self._session).add(document, blob, is_first=is_new)
        return Accepted(document, job, "added" if is_new else "updated")

    async def _is_latest(self, document_id: UUID, blob: StoredBlob) -> bool:
        """Whether a document's newest version that did not fail is of these bytes."""
        sha256 = await self._session.scalar(
            select(DocumentVersion.sha256)
            .where(DocumentVersion.document_id == document_id, DocumentVersion.state != "failed")
            .order_by(DocumentVersion.number.desc())
            .limit(1)
        )
        return sha256 == blob.sha256

    @staticmethod
    def describe(
        document: Document, *, attributes: Mapping[str, Any] | None, tags: Sequence[str] | None
    ) -> None:
        """Give a document other attributes or tags; None leaves them as they are."""
        if attributes is not None:
            document.attributes = dict(attributes)
        if tags is not None:
            document.tags = list(dict.fromkeys(tags))

    async def locked(self, document_id: UUID) -> Document:
        """A document that nobody else changes until the transaction ends. Raises NotFound."""
        document = await self.get(document_id)
        await self._session.refresh(document, with_for_update=True)
        if document.deleted_at is not None:
            raise _no_such_document()
        return document

    async def _lock_or_create(self, knowledge_base_id: UUID, name: str) -> tuple[Document, bool]:
        created = await self._session.scalar(
            insert(Document)
            .values(id=new_id(), knowledge_base_id=knowledge_base_id, name=name)
            .on_conflict_do_nothing()
            .returning(Document)
        )
        if created is not None:
            return created, True
        # The lock makes two uploads of one name take turns, so that they number their versions apart.
        document = await self._session.scalar(
            select(Document)
            .where(
                Document.knowledge_base_id == knowledge_base_id,
                Document.name == name,
                Document.deleted_at.is_(None),
            )
            .with_for_update()
        )
        if document is None:
            raise NotFound(f"{name!r} was deleted while it was being uploaded; upload it again.")
        return document, False

    async def get(self, document_id: UUID) -> Document:
        """Raises NotFound where there is none, or it was deleted."""
        found = await self._session.scalar(
            select(Document)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(
                Document.id == document_id, Document.deleted_at.is_(None), KnowledgeBase.deleted_at.is_(None)
            )
        )
        if found is None:
            raise _no_such_document()
        return found

    async def page(
        self, knowledge_base_id: UUID, *, after: UUID | None, limit: int
    ) -> list[tuple[Document, DocumentVersion | None, Job | None]]:
        """Documents in order of their ids, each with its newest version and that version's job."""
        newest = (
            select(DocumentVersion.id)
            .where(DocumentVersion.document_id == Document.id)
            .order_by(DocumentVersion.number.desc())
            .limit(1)
            .correlate(Document)
            .scalar_subquery()
        )
        statement = (
            select(Document, DocumentVersion, Job)
            .outerjoin(DocumentVersion, DocumentVersion.id == newest)
            .outerjoin(Job, Job.version_id == DocumentVersion.id)
            .where(Document.knowledge_base_id == knowledge_base_id, Document.deleted_at.is_(None))
            .order_by(Document.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(Document.id > after)
        return [(row[0], row[1], row[2]) for row in await self._session.execute(statement)]

    async def newest(self, document_id: UUID) -> tuple[DocumentVersion | None, Job | None]:
        """A document's newest version and its job."""
        row = (
            await self._session.execute(
                select(DocumentVersion, Job)
                .outerjoin(Job, Job.version_id == DocumentVersion.id)
                .where(DocumentVersion.document_id == document_id)
                .order_by(DocumentVersion.number.desc())
                .limit(1)
            )
        ).first()
        return (row[0], row[1]) if row else (None, None)

    async def delete(self, document_id: UUID) -> Document:
        """Hide a document at once and cancel what is being done with it; the worker erases it soon after.

        Raises:
            NotFound: there is none.
        """
        document = await self.get(document_id)
        # The jobs before the document, as a worker locks them at the end of its job: the two cannot block each other.
        await self._cancel(Job.document_id == document_id, "document_deleted", "The document was deleted.")
        document.deleted_at = datetime.now(UTC)
        await self._session.execute(text(f"NOTIFY {JOBS_CHANNEL}"))
        await self._session.execute(text(f"NOTIFY {ACTIVE_CHANNEL}"))
        return document

    async def delete_all(self, knowledge_base_id: UUID) -> None:
        """Hide every document of a knowledge base, as `delete` does."""
        await self._cancel(
            Job.knowledge_base_id == knowledge_base_id,
            "knowledge_base_deleted",
            "The knowledge base was deleted.",
        )
        await self._session.execute(
            update(Document)
            .where(Document.knowledge_base_id == knowledge_base_id, Document.deleted_at.is_(None))
            .values(deleted_at=func.now())
        )
        await self._session.execute(text(f"NOTIFY {JOBS_CHANNEL}"))
        await self._session.execute(text(f"NOTIFY {ACTIVE_CHANNEL}"))

    async def _cancel(self, whose: ColumnElement[bool], code: str, detail: str) -> None:
        await Jobs(self._session).end_where(whose, state="cancelled", code=code, detail=detail)
