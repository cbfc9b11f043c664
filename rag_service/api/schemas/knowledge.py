"""Shapes of knowledge bases, documents, jobs and search."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from rag_service.api.schemas.base import Name, Question, Request, Response, Slug
from rag_service.db.models import Job, KnowledgeBase
from rag_service.documents.service import Listed


class KnowledgeBaseRequest(Request):
    slug: Slug
    name: Name


class KnowledgeBaseOut(Response):
    slug: str
    name: str
    embedding_model: str
    documents: int
    created_at: datetime

    @classmethod
    def of(cls, found: KnowledgeBase, documents: int) -> Self:
        return cls(
            slug=found.slug,
            name=found.name,
            embedding_model=found.embedding_model,
            documents=documents,
            created_at=found.created_at,
        )


class JobProgress(Response):
    done: int
    total: int


class JobError(Response):
    code: str
    detail: str


class JobOut(Response):
    id: UUID
    document_id: UUID
    filename: str
    state: str
    progress: JobProgress
    attempts: int
    warnings: list[str]
    error: JobError | None
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
            created_at=document.created_at,
            job=JobOut.of(job, document.name) if job else None,
        )


class UploadedDocument(Response):
    id: UUID
    filename: str
    status: str = Field(description="`added`, `updated` (a new version) or `unchanged` (the same bytes)")


class UploadAnswer(Response):
    documents: list[UploadedDocument]
    jobs: list[JobOut]


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
