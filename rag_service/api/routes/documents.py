"""Documents: inspect one, describe it, delete it; its chunks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from rag_service.api.deps import Admin, Evaluator, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.filters import DocumentChange
from rag_service.api.schemas.knowledge import ChunkOut, DocumentOut

router = APIRouter(prefix="/documents", tags=["documents"], route_class=ProtectedRoute)

Ordinal = Annotated[int, Query(ge=-1, lt=2**31)]


@router.get("/{document_id}")
async def get_document(document_id: UUID, _: Evaluator, services: Svc) -> DocumentOut:
    """A document, its newest version and that version's job."""
    return DocumentOut.of(await services.documents.get(document_id))


@router.patch("/{document_id}")
async def change_document(document_id: UUID, body: DocumentChange, _: Admin, services: Svc) -> DocumentOut:
    """Give a document other tags or metadata: they take the place of those it has, from the next question on."""
    return DocumentOut.of(
        await services.documents.describe(document_id, attributes=body.metadata, tags=body.tags)
    )


@router.delete("/{document_id}", status_code=204)
async def delete_document(document_id: UUID, _: Admin, services: Svc) -> None:
    """Delete a document: gone from answers at once; its text, vectors and original file are erased soon after, and
    with them what stored answers quote of it."""
    await services.documents.delete(document_id)


@router.get("/{document_id}/chunks")
async def list_chunks(
    document_id: UUID, _: Evaluator, services: Svc, limit: Limit = 50, cursor: Ordinal = -1
) -> Page[ChunkOut]:
    """The chunks of the active version, in order of the text."""
    chunks = await services.documents.chunks(document_id, after=cursor, limit=limit)
    next_cursor = str(chunks[-1].ordinal) if len(chunks) == limit else None
    return Page(items=[ChunkOut.model_validate(chunk) for chunk in chunks], next_cursor=next_cursor)
