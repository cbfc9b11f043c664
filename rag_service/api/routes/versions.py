"""Versions of documents: their history, their original files, and going back to one."""

import re
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse

from rag_service.api.deps import Admin, Evaluator, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.knowledge import JobOut, VersionOut

router = APIRouter(prefix="/documents", tags=["documents"], route_class=ProtectedRoute)

_MAX = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=_MAX)]
NumberQuery = Annotated[int | None, Query(ge=1, le=_MAX)]

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


@router.get("/{document_id}/versions")
async def list_versions(
    document_id: UUID, _: Evaluator, services: Svc, limit: Limit = 50, cursor: NumberQuery = None
) -> Page[VersionOut]:
    """Every version of a document, the newest first; the active one is what answers are made from."""
    document, versions = await services.documents.versions(document_id, before=cursor, limit=limit)
    next_cursor = str(versions[-1].number) if len(versions) == limit else None
    return Page(items=[VersionOut.of(version, document) for version in versions], next_cursor=next_cursor)


@router.post("/{document_id}/versions/{number}/restore", status_code=202)
async def restore_version(document_id: UUID, number: Number, _: Admin, services: Svc) -> JobOut:
    """Go back to an earlier version: its bytes become a new one, active once its job has succeeded."""
    document, job = await services.documents.read_again(document_id, number)
    return JobOut.of(job, document.name)


@router.post("/{document_id}/reindex", status_code=202)
async def reindex_document(document_id: UUID, _: Admin, services: Svc) -> JobOut:
    """Read the active version's bytes anew, as a new version: after `chunk_tokens` was changed, for example."""
    document, job = await services.documents.read_again(document_id, None)
    return JobOut.of(job, document.name)


@router.get("/{document_id}/content", response_class=FileResponse)
async def download_content(
    document_id: UUID, _: Evaluator, services: Svc, version: NumberQuery = None
) -> FileResponse:
    """The original file, always as a download: of the active version, or of the one named."""
    original = await services.documents.original(document_id, version)
    known = original.media_type or ""
    return FileResponse(
        original.path,
        headers={
            "Content-Type": known if _MEDIA_TYPE.fullmatch(known) else "application/octet-stream",
            "Content-Disposition": _attachment(original.filename),
            "Content-Security-Policy": "sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        },
    )


def _attachment(name: str) -> str:
    """RFC 6266: the name in ASCII for old clients, and all of it, encoded, for the others."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name).lstrip(". ") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
