"""Jobs: how far the reading of documents has come, and what an admin orders of one."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.sse import KEEPALIVE_COMMENT
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.api import sse
from rag_service.api.deps import Admin, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Moment, Page, Slug
from rag_service.api.schemas.knowledge import JobOut
from rag_service.db.engine import Database
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.job_orders import JobOrders
from rag_service.db.repositories.jobs import FINISHED, JobFilter, Jobs, JobState
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.documents.cancellation import cancel
from rag_service.errors import RagError

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=ProtectedRoute)

LOOK_SECONDS = 0.5


@router.get("")
async def list_jobs(
    _: Admin,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    state: Annotated[list[JobState], Query(description="may be given several times")] = [],  # noqa: B006
    knowledge_base: Slug | None = None,
    document_id: UUID | None = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
) -> Page[JobOut]:
    """Jobs, the newest first."""
    async with services.database.transaction() as session:
        found = await KnowledgeBases(session).by_slug(knowledge_base) if knowledge_base else None
        wanted = JobFilter(
            states=state,
            knowledge_base_id=found.id if found else None,
            document_id=document_id,
            created_after=created_after,
            created_before=created_before,
        )
        rows = await Jobs(session).page(wanted, before=cursor, limit=limit)
    items = [JobOut.of(job, name) for job, name in rows]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)


@router.get("/{job_id}")
async def get_job(job_id: UUID, _: Admin, services: Svc) -> JobOut:
    """One job."""
    return await _job(services.database, job_id)


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: UUID, _: Admin, services: Svc) -> JobOut:
    """End a job: a queued one at once; the worker of one under way stops within about a second.

    Nothing of what it read can be asked, and the same file can be uploaded again. A job that was cancelled before
    stays so; one that ended otherwise is a 409.
    """
    async with services.database.transaction() as session:
        await cancel(session, job_id)
        return await _ordered(session, "job.cancelled", job_id)


@router.post("/{job_id}/retry")
async def retry_job(job_id: UUID, _: Admin, services: Svc) -> JobOut:
    """Queue a failed, cancelled or quarantined job anew, its attempts counted from 0.

    One that is queued or under way is left as it is. One that succeeded, whose document was deleted, or that a newer
    version has overtaken is a 409.
    """
    async with services.database.transaction() as session:
        await JobOrders(session).retry(job_id)
        return await _ordered(session, "job.retried", job_id)


@router.get("/{job_id}/events")
async def follow_job(
    job_id: UUID, _: Admin, services: Svc, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """A job's progress as server-sent events: `progress` whenever it changes, then one `done`.

    A stream that was cut off is taken up with `Last-Event-ID`: it begins with the job as it is then, and the numbers
    go on.
    """
    first = await _job(services.database, job_id)  # one that does not exist is a 404, not a stream
    return sse.stream(_frames(services.database, first, seen=_number(last_event_id)))


async def _ordered(session: AsyncSession, action: str, job_id: UUID) -> JobOut:
    job, name = await Jobs(session).get(job_id)
    await record(
        session, action, job_id, knowledge_base_id=job.knowledge_base_id, document=str(job.document_id)
    )
    return JobOut.of(job, name)


async def _job(database: Database, job_id: UUID) -> JobOut:
    async with database.transaction() as session:
        return JobOut.of(*await Jobs(session).get(job_id))


def _number(last_event_id: str) -> int:
    """The number of the last event that was seen; what is none of ours counts as none."""
    return int(last_event_id) if re.fullmatch(r"[0-9]{1,9}", last_event_id) else 0


async def _frames(database: Database, job: JobOut, *, seen: int) -> AsyncIterator[bytes]:
    number, shown, said_at = seen, None, time.monotonic()
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
                "error",
                number + 1,
                {"code": error.code, "detail": error.detail, "retryable": error.retryable},
            )
            return
