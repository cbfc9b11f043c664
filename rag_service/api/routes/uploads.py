"""Uploading documents into a knowledge base."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rag_service.api.deps import Admin, OnceOnly, ProtectedRoute, Svc, get_services
from rag_service.api.schemas.base import Slug
from rag_service.api.schemas.knowledge import JobOut
from rag_service.api.schemas.uploads import UploadAnswer, UploadedDocument, UploadForm
from rag_service.blobs import room_needed
from rag_service.db.repositories.documents import Accepted, OnConflict
from rag_service.db.repositories.idempotency import Answer
from rag_service.documents.content import HEAD_BYTES
from rag_service.documents.uploads import File, Handling
from rag_service.errors import InvalidInput

BLOCK = 1024 * 1024

MAX_FILES = 200
"""In one upload: each may be an open file until all are in."""

MAX_FIELDS = 64
MAX_FIELD_BYTES = 64 * 1024
SPOOL_BYTES = 256 * 1024
"""What is kept of a file in memory while it comes in; what is more goes to disk."""


class UploadRoute(ProtectedRoute):
    """Reads the form itself, behind the proof of who sends it: within limits that keep it out of memory."""

    async def before_body(self, request: Request) -> None:
        get_services(request).chat.runs.check_open()
        try:
            with room_needed():
                await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
        except ClientDisconnect:
            raise HTTPException(400, "The upload was cut off; send it again.") from None


router = APIRouter(prefix="/knowledge-bases", tags=["documents"], route_class=UploadRoute)


@router.post("/{slug}/documents", status_code=202)
async def upload_documents(
    slug: Slug,
    form: Annotated[UploadForm, Form(media_type="multipart/form-data")],
    _: Admin,
    services: Svc,
    once: OnceOnly,
    on_conflict: Annotated[OnConflict | None, Query(description="as the field of the form")] = None,
) -> UploadAnswer:
    """Hand up to 200 files in, all of them or none. They are read in the background: follow the jobs to see when
    they can be asked. With an `Idempotency-Key` the same upload can be sent again safely."""
    if form.on_conflict and on_conflict and form.on_conflict != on_conflict:
        raise InvalidInput("on_conflict is given twice, in the address and in the form, and differs.")
    handling = Handling(form.on_conflict or on_conflict or "version", form.metadata, form.tags)
    files = [await _file(item) for item in form.files]
    answer = await services.uploads.upload(slug, files, handling, once=once, tell=_told)
    return UploadAnswer.model_validate(answer)


def _told(accepted: Sequence[Accepted]) -> Answer:
    documents = [
        UploadedDocument(id=item.document.id, filename=item.document.name, status=item.outcome)
        for item in accepted
    ]
    jobs = [JobOut.of(item.job, item.document.name) for item in accepted if item.job is not None]
    return UploadAnswer(documents=documents, jobs=jobs).model_dump(mode="json")


async def _file(sent: UploadFile) -> File:
    head = await sent.read(HEAD_BYTES)
    await sent.seek(0)
    return File(sent.filename or "", sent.content_type, sent.size or 0, head, _blocks(sent))


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(BLOCK):
        yield block
