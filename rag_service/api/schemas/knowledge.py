"""Shapes of documents, versions, jobs and search."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from rag_service.api.schemas.base import Moment, Question, Request, Response, Slug
from rag_service.api.schemas.filters import FiltersIn
from rag_service.api.schemas.traces import TraceOut
from rag_service.db.models import Document, DocumentVersion, Job
from rag_service.documents.service import Listed


class JobProgress(Response):
    done: int
    total: int


class JobError(Response):
    code: str
    detail: str


class JobEnd(Response):
    """How an attempt ended that did not succeed."""

    at: Moment
    code: str
    detail: str


class JobOut(Response):
    """A job. `error` is how it stands now; `history` has its last ends, at most 10, the oldest first."""

    id: UUID
    document_id: UUID
    filename: str
    state: str
    progress: JobProgress
    attempts: int
    warnings: list[str]
    error: JobError | None
    history: list[JobEnd]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job, filename: str) -> Self:
        error = JobError(code=job.error_code, detail=job.error_detail or "") if job.error_code else None
        return cls(
            id=job.id,
            document_id=job.document_id,
            filename=filename,
            state=job.state,
            progress=JobProgress(done=job.done, total=job.total),
            attempts=job.attempts,
            warnings=job.warnings,
            error=error,
            history=[JobEnd.model_validate(end) for end in job.history],
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


class DocumentOut(Response):
    """A document and its newest version. `state` is that of the version: `pending`, `ready` or `failed`."""

    id: UUID
    filename: str
    title: str | None
    state: str
    version: int
    size: int
    media_type: str | None
    pages: int | None
    chunks: int | None
    tags: list[str]
    metadata: dict[str, Any]
    created_at: datetime
    job: JobOut | None

    @classmethod
    def of(cls, listed: Listed) -> Self:
        document, version, job = listed.document, listed.version, listed.job
        return cls(
            id=document.id,
            filename=document.name,
            title=version.title if version else None,
            state=version.state if version else "pending",
            version=version.number if version else 0,
            size=version.size if version else 0,
            media_type=version.media_type if version else None,
            pages=version.pages if version else None,
            chunks=version.chunk_count if version else None,
            tags=document.tags,
            metadata=document.attributes,
            created_at=document.created_at,
            job=JobOut.of(job, document.name) if job else None,
        )


class VersionOut(Response):
    """One version of a document. The active one is what answers are made from; `restored_from` is the number of an
    earlier one that has the same bytes."""

    number: int
    state: str
    active: bool
    size: int
    sha256: str
    media_type: str | None
    title: str | None
    pages: int | None
    chunks: int | None
    restored_from: int | None
    created_at: datetime
    activated_at: datetime | None

    @classmethod
    def of(cls, version: DocumentVersion, document: Document) -> Self:
        return cls(
            number=version.number,
            state=version.state,
            active=version.id == document.active_version_id,
            size=version.size,
            sha256=version.sha256,
            media_type=version.media_type,
            title=version.title,
            pages=version.pages,
            chunks=version.chunk_count,
            restored_from=version.restored_from,
            created_at=version.created_at,
            activated_at=version.activated_at,
        )


class ChunkOut(Response):
    id: UUID
    ordinal: int
    text: str
    headings: list[str]
    context: str
    page: int | None
    page_end: int | None
    char_start: int
    char_end: int
    tokens: int


class SearchRequest(Request):
    query: Question
    knowledge_base: Slug = "default"
    limit: int = Field(default=10, ge=1, le=50)
    filters: FiltersIn | None = None
    trace: bool = Field(
        default=False, description="tell of each chunk how it was found, also of those left out"
    )


class SearchHit(Response):
    chunk_id: UUID
    document_id: UUID
    filename: str
    title: str
    headings: list[str]
    page: int | None
    text: str
    score: float


class SearchAnswer(Response):
    hits: list[SearchHit]
    timings: dict[str, float]
    trace: list[TraceOut] | None = None
