"""Queries on jobs: the queue is this table."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, Job
from rag_service.errors import Conflict, NotFound

JobState = Literal[
    "queued",
    "extracting",
    "chunking",
    "embedding",
    "storing",
    "succeeded",
    "failed",
    "cancelled",
    "quarantined",
]
FINISHED = frozenset({"succeeded", "failed", "cancelled", "quarantined"})


class LostLease(Conflict):
    """Another worker has taken the job over, or it was cancelled; what this one did must not count."""

    code = "lost_lease"


def _is_lost() -> ColumnElement[bool]:
    return and_(Job.state.not_in([*FINISHED, "queued"]), Job.lease_until < func.now())


class Jobs:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, *, lease: timedelta, limit: int = 1) -> list[Job]:
        """Take the oldest jobs that are due, at most `limit`.

        Workers that ask at the same moment get different jobs. The fence grows with each claim.
        """
        is_due = and_(Job.state == "queued", or_(Job.not_before.is_(None), Job.not_before <= func.now()))
        return await self._take(is_due, lease=lease, limit=limit)

    async def claim_lost(self, *, lease: timedelta) -> Job | None:
        """Take over the oldest job whose worker let its lease run out."""
        jobs = await self._take(_is_lost(), lease=lease, limit=1)
        return jobs[0] if jobs else None

    async def is_any_lost(self) -> bool:
        """Whether a job waits for another worker to take it over."""
        return bool(await self._session.scalar(select(exists().where(_is_lost()))))

    async def _take(self, wanted: ColumnElement[bool], *, lease: timedelta, limit: int) -> list[Job]:
        now = func.now()
        chosen = (
            select(Job.id)
            .where(wanted)
            .order_by(Job.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        taken = await self._session.scalars(
            update(Job)
            .where(Job.id.in_(chosen))
            .values(
                state="extracting",
                fence=Job.fence + 1,
                attempts=Job.attempts + 1,
                lease_until=now + lease,
                started_at=func.coalesce(Job.started_at, now),
                done=0,
                total=0,
                warnings=[],
                error_code=None,
                error_detail=None,
            )
            .returning(Job)
        )
        return sorted(taken, key=lambda job: job.created_at)

    async def advance(
        self,
        job: Job,
        state: str,
        *,
        done: int,
        total: int,
        warnings: Sequence[str] = (),
        lease: timedelta,
    ) -> None:
        """Record where the work is, and renew the lease. Raises LostLease if the job is no longer this worker's."""
        await self._fenced(
            job,
            state=state,
            done=done,
            total=total,
            warnings=list(warnings),
            lease_until=func.now() + lease,
        )

    async def finish(
        self, job: Job, state: str, *, code: str | None = None, detail: str | None = None
    ) -> None:
        """End the job in `state`. Raises LostLease if it is no longer this worker's."""
        await self._fenced(
            job,
            state=state,
            done=Job.total if state == "succeeded" else Job.done,
            error_code=code,
            error_detail=detail,
            lease_until=None,
            finished_at=func.now(),
        )

    async def hand_back(
        self, job: Job, *, after: timedelta, code: str, detail: str, counts: bool = True
    ) -> None:
        """Put the job back into the queue, to be tried again in `after`.

        Unless it `counts`, the attempt does not bring the job nearer to being given up.
        """
        await self._fenced(
            job,
            state="queued",
            attempts=job.attempts if counts else job.attempts - 1,
            lease_until=None,
            not_before=datetime.now(UTC) + after,
            error_code=code,
            error_detail=detail,
        )

    async def _fenced(self, job: Job, **values: object) -> None:
        owned = await self._session.scalar(
            update(Job)
            .where(Job.id == job.id, Job.fence == job.fence, Job.state.not_in([*FINISHED, "queued"]))
            .values(**values)
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        )
        if owned is None:
            raise LostLease("This job is no longer this worker's.")

    async def get(self, job_id: UUID) -> tuple[Job, str]:
        """A job and its document's name. Raises NotFound."""
        row = (
            await self._session.execute(
                select(Job, Document.name)
                .join(Document, Document.id == Job.document_id)
                .where(Job.id == job_id)
                .execution_options(populate_existing=True)
            )
        ).first()
        if row is None:
            raise NotFound("There is no such job.", code="job_not_found")
        return row[0], row[1]

    async def many(self, job_ids: Sequence[UUID]) -> list[tuple[Job, str]]:
        """These jobs with their documents' names, oldest first."""
        rows = await self._session.execute(
            select(Job, Document.name)
            .join(Document, Document.id == Job.document_id)
            .where(Job.id.in_(job_ids))
            .order_by(Job.id)
        )
        return [(row[0], row[1]) for row in rows]

    async def page(
        self,
        *,
        before: UUID | None,
        limit: int,
        state: str | None = None,
        knowledge_base_id: UUID | None = None,
    ) -> list[tuple[Job, str]]:
        """Jobs, newest first."""
        wanted: list[ColumnElement[bool]] = []
        if before is not None:
            wanted.append(Job.id < before)
        if state is not None:
            wanted.append(Job.state == state)
        if knowledge_base_id is not None:
            wanted.append(Job.knowledge_base_id == knowledge_base_id)
        rows = await self._session.execute(
            select(Job, Document.name)
            .join(Document, Document.id == Job.document_id)
            .where(*wanted)
            .order_by(Job.id.desc())
            .limit(limit)
        )
        return [(row[0], row[1]) for row in rows]
