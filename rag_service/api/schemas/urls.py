"""Shapes of URLs that are kept up to date."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from rag_service.addresses import LONGEST_URL
from rag_service.api.schemas.base import Request, Response
from rag_service.api.schemas.knowledge import JobError
from rag_service.db.models import UrlSource


class UrlRequest(Request):
    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_URL)]
    kind: Literal["page", "sitemap"] = "page"
    refresh_seconds: int | None = Field(
        default=None, ge=60, le=31_536_000, description="how often it is looked at again; null: fetched once"
    )


class UrlOut(Response):
    """A source; `error` is how the last fetch failed, `next_at` is null when it is not fetched again."""

    id: UUID
    url: str
    kind: str
    refresh_seconds: int | None
    fetched_at: datetime | None
    next_at: datetime | None
    error: JobError | None
    created_at: datetime

    @classmethod
    def of(cls, source: UrlSource) -> Self:
        error = (
            JobError(code=source.error_code, detail=source.error_detail or "") if source.error_code else None
        )
        return cls(
            id=source.id,
            url=source.url,
            kind=source.kind,
            refresh_seconds=source.refresh_seconds,
            fetched_at=source.fetched_at,
            next_at=source.next_at,
            error=error,
            created_at=source.created_at,
        )
