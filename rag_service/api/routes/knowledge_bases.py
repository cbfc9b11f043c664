"""Knowledge bases: list, create; and uploading documents into one."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, UploadFile

from rag_service.api.deps import Admin, Chatter, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page, Slug
from rag_service.api.schemas.knowledge import (
    DocumentOut,
    JobOut,
    KnowledgeBaseOut,
    KnowledgeBaseRequest,
    UploadAnswer,
    UploadedDocument,
)
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.knowledge.model_check import check_can_ask

router = APIRouter(prefix="/knowledge-bases", tags=["knowledge bases"], route_class=ProtectedRoute)

BLOCK = 1024 * 1024


@router.get("")
async def list_knowledge_bases(_: Chatter, services: Svc) -> Page[KnowledgeBaseOut]:
    """Every knowledge base, with how many of its documents can be asked."""
    async with services.database.transaction() as session:
        rows = await KnowledgeBases(session).all_with_counts()
    return Page(items=[KnowledgeBaseOut.of(found, count) for found, count in rows])


@router.post("", status_code=201)
async def create_knowledge_base(body: KnowledgeBaseRequest, _: Admin, services: Svc) -> KnowledgeBaseOut:
    """A new, empty knowledge base."""
    async with services.database.transaction() as session:
        made = await KnowledgeBases(session).create(body.slug, body.name, services.embedder.fingerprint)
    return KnowledgeBaseOut.of(made, 0)


@router.get("/{slug}/documents")
async def list_documents(
    slug: Slug, _: Admin, services: Svc, limit: Limit = 50, cursor: UUID | None = None
) -> Page[DocumentOut]:
    """Documents of a knowledge base, each with its newest version and that version's job."""
    listed = await services.documents.page(slug, after=cursor, limit=limit)
    next_cursor = str(listed[-1].document.id) if len(listed) == limit else None
    return Page(items=[DocumentOut.of(item) for item in listed], next_cursor=next_cursor)


@router.post("/{slug}/documents", status_code=202)
async def upload_documents(
    slug: Slug,
    files: Annotated[list[UploadFile], File(description="one or more files")],
    _: Admin,
    services: Svc,
) -> UploadAnswer:
    """Hand files in. They are read in the background: follow the jobs to see when they can be asked."""
    knowledge_base = await services.documents.knowledge_base(slug)
    await check_can_ask(services.database, knowledge_base.id, services.embedder.fingerprint)
    for file in files:
        services.documents.check_size(file.filename or "", file.size or 0)
    answer = UploadAnswer(documents=[], jobs=[])
    for file in files:
        accepted = await services.documents.upload(knowledge_base, file.filename or "", _blocks(file))
        document = accepted.document
        answer.documents.append(
            UploadedDocument(id=document.id, filename=document.name, status=accepted.outcome)
        )
        if accepted.job is not None:
            answer.jobs.append(JobOut.of(accepted.job, document.name))
    return answer


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(BLOCK):
        yield block
