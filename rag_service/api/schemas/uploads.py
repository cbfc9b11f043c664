"""Shapes of uploads."""

from uuid import UUID

from fastapi import UploadFile
from pydantic import Field, Json

from rag_service.api.schemas.base import Request, Response
from rag_service.api.schemas.filters import Metadata, Tags
from rag_service.api.schemas.knowledge import JobOut
from rag_service.db.repositories.documents import OnConflict


class UploadForm(Request):
    files: list[UploadFile] = Field(min_length=1, description="one or more files, 200 at most")
    on_conflict: OnConflict | None = Field(
        default=None,
        description="what becomes of a file whose name a document has: a new `version` of it (the default), `skip` "
        "the file, or `reject` the whole upload",
    )
    tags: Tags | None = Field(default=None, description="repeat the field for several; of all the files")
    metadata: Json[Metadata] | None = Field(
        default=None,
        description='of all the files, as JSON: `{"year": 2024, "audience": "staff"}`; what a document had before is '
        "replaced",
    )


class UploadedDocument(Response):
    id: UUID
    filename: str
    status: str = Field(
        description="`added`, `updated` (a new version), `unchanged` (the same bytes) or `skipped`"
    )


class UploadAnswer(Response):
    documents: list[UploadedDocument]
    jobs: list[JobOut]
