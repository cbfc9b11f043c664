"""Jobs: how far the reading of documents has come."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.sse import KEEPALIVE_COMMENT

from rag_service.api import sse
from rag_service.api.deps import Admin, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page, Slug
from rag_service.api.schemas.knowledge import JobOut
from rag_service.db.engine import Database
from rag_service.db.repositories.jobs import FINISHED, Jobs, JobState
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import RagError

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=ProtectedRoute)

LOOK_SECONDS = 0.5


@router.get("")
async def list_jobs(
    _: Admin,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    state: JobState | None = None,
    knowledge_base: Slug | None = None,
) -> Page[JobOut]:
    """Jobs, the newest first."""
    async with services.database.transaction() as session:
        found = await KnowledgeBases(session).by_slug(knowledge_base) if knowledge_base else None
        rows = await Jobs(session).page(
            before=cursor, limit=limit, state=state, knowledge_base_id=found.id if found else None
        )
    items = [JobOut.of(job, name) for job, name in rows]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)


@router.get("/{job_id}")
async def get_job(job_id: UUID, _: Admin, services: Svc) -> JobOut:
    """One job."""
    return await _job(services.database, job_id)


@router.get("/{job_id}/events")
async def follow_job(job_id: UUID, _: Admin, services: Svc) -> Response:
    """A job's progress as server-sent events: `progress` whenever it changes, then one `done`."""
    first = await _job(services.database, job_id)  # one that does not exist is a 404, not a stream
    return sse.stream(_frames(services.database, first))


async def _job(database: Database, job_id: UUID) -> JobOut:
    async with database.transaction() as session:
        return JobOut.of(*await Jobs(session).get(job_id))


async def _frames(database: Database, job: JobOut) -> AsyncIterator[bytes]:
    number, shown, said_at = 0, None, time.monotonic()
    while True:
        ended = job.state in FINISHED
        if job != shown:
            number, shown, said_at = number + 1, job, time.monotonic()
            yield sse.frame("done" if ended else "progress", number, job.model_dump(mode="json"))
        elif time.monotonic() - said_at > sse.PING_SECONDS:
            said_at = time.monotonic()
            yield KEEPALIVE_COMMENT
        if ended:
            return
        await asyncio.sleep(LOOK_SECONDS)
        try:
            job = await _job(database, job.id)
        except RagError as error:
            yield sse.frame(
                "error", number + 1, {"code": error.code, "detail": error.detail, "retryable": True}
            )
            return
