"""Queries on jobs: the queue is this table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, and_, case, exists, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, DocumentVersion, Job
from rag_service.db.repositories.webhooks import WebhookDeliveries
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
JOBS_CHANNEL = "rag_jobs"

HISTORY = 10
"""How many ends of attempts a job remembers."""


class LostLease(Conflict):
    """Another worker has taken the job over, or it was cancelled; what this one did must not count."""

    code = "lost_lease"

    def __init__(self, detail: str = "This job is no longer this worker's.") -> None:
        super().__init__(detail)


def _is_lost() -> ColumnElement[bool]:
    return and_(Job.state.not_in([*FINISHED, "queued"]), Job.lease_until < func.now())


def _due() -> ColumnElement[bool]:
    """True of a job that is queued, and whose pause is over."""
    return and_(Job.state == "queued", or_(Job.not_before.is_(None), Job.not_before <= func.now()))


def _remembering(code: str, detail: str | None) -> ColumnElement[list[dict[str, Any]]]:
    """The history of a job with one more end of an attempt; the oldest makes room."""
    end = func.jsonb_build_object("at", func.now(), "code", code, "detail", detail or "")
    full = func.jsonb_array_length(Job.history) >= HISTORY
    return case((full, Job.history.op("-")(literal(0, Integer))), else_=Job.history).op("||")(end)


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are wanted; what is not said does not matter."""

    states: Collection[str] = ()
    knowledge_base_id: UUID | None = None
    document_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted: list[ColumnElement[bool]] = []
        if self.states:
            wanted.append(Job.state.in_(self.states))
        if self.knowledge_base_id is not None:
            wanted.append(Job.knowledge_base_id == self.knowledge_base_id)
        if self.document_id is not None:
            wanted.append(Job.document_id == self.document_id)
        if self.created_after is not None:
            wanted.append(Job.created_at > self.created_after)
        if self.created_before is not None:
            wanted.append(Job.created_at < self.created_before)
        return wanted


class Jobs:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, *, lease: timedelta, limit: int = 1) -> list[Job]:
        """Take the oldest jobs that are due, at most `limit`.

        Workers that ask at the same moment get different jobs. The fence grows with each claim.
        """
        return await self._take(_due(), lease=lease, limit=limit)

    async def claim_lost(self, *, lease: timedelta) -> Job | None:
        """Take over the oldest job whose worker let its lease run out."""
        jobs = await self._take(_is_lost(), lease=lease, limit=1)
        return jobs[0] if jobs else None

    async def claim_that(self, job_id: UUID, *, lease: timedelta) -> list[Job]:
        """Take that job, if it is due or its worker let its lease run out."""
        wanted = and_(Job.id == job_id, or_(_due(), _is_lost()))
        # Who wants a certain job waits to see what becomes of its row.
        return await self._take(wanted, lease=lease, limit=1, skip_locked=False)

    async def is_any_lost(self) -> bool:
        """Whether a job waits for another worker to take it over."""
        return bool(await self._session.scalar(select(exists().where(_is_lost()))))

    async def _take(
        self, wanted: ColumnElement[bool], *, lease: timedelta, limit: int, skip_locked: bool = True
    ) -> list[Job]:
        now = func.now()
        chosen = (
            select(Job.id)
            .where(wanted)
            .order_by(Job.created_at)
            .limit(limit)
            .with_for_update(skip_locked=skip_locked)
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
                history=case(
                    (Job.state == "queued", Job.history),
                    else_=_remembering(
                        "worker_lost", "The worker was not heard of any more; another one took the job over."
                    ),
                ),
                done=0,
                total=0,
                warnings=[],
                error_code=None,
                error_detail=None,
                dispatched_at=None,
            )
            .returning(Job)
        )
        return sorted(taken, key=lambda job: job.created_at)

    async def dispatch(self, *, limit: int, again_after: timedelta) -> list[UUID]:
        """Up to `limit` jobs that are due and of which Celery was not told within `again_after`, the oldest first.

        They count as told from now on, for all who ask.
        """
        untold = or_(Job.dispatched_at.is_(None), Job.dispatched_at < func.now() - again_after)
        chosen = (
            select(Job.id)
            .where(or_(_due(), _is_lost()), untold)
            .order_by(Job.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        told = await self._session.scalars(
            update(Job)
            .where(Job.id.in_(chosen))
            .values(dispatched_at=func.now())
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        )
        return sorted(told)

    async def undo_dispatch(self, job_ids: Sequence[UUID]) -> None:
        """Celery could not be told of these after all."""
        await self._session.execute(update(Job).where(Job.id.in_(job_ids)).values(dispatched_at=None))

    async def finish(
        self, job: Job, state: str, *, code: str | None = None, detail: str | None = None
    ) -> None:
        """End the job in `state`. Raises LostLease if it is no longer this worker's."""
        mine = (Job.id == job.id, Job.fence == job.fence, Job.state != "queued")
        if not await self.end_where(*mine, state=state, code=code, detail=detail, lease_until=None):
            raise LostLease

    async def end_where(
        self,
        *which: ColumnElement[bool],
        state: str,
        code: str | None = None,
        detail: str | None = None,
        **values: object,
    ) -> list[UUID]:
        """End the jobs of which this is true and which have not ended yet; the ids of those it ended.

        Every job ends through here, so that what has to happen then happens in the same transaction: the version
        that no text came of is marked failed, so that the same bytes can be uploaded again, and the webhook's
        delivery is entered. The lease of a job that its own worker did not end stays: that one may still be writing.
        """
        ended = list(
            await self._session.scalars(
                update(Job)
                .where(*which, Job.state.not_in(FINISHED))
                .values(
                    state=state,
                    done=Job.total if state == "succeeded" else Job.done,
                    error_code=code,
                    error_detail=detail,
                    finished_at=func.now(),
                    history=_remembering(code, detail) if code else Job.history,
                    **values,
                )
                .returning(Job)
                .execution_options(synchronize_session=False, populate_existing=True)
            )
        )
        if ended and state != "succeeded":
            await self._session.execute(
                update(DocumentVersion)
                .where(
                    DocumentVersion.id.in_([job.version_id for job in ended]),
                    DocumentVersion.state == "pending",
                )
                .values(state="failed")
            )
        if ended:
            await WebhookDeliveries(self._session).enter(ended)
        return [job.id for job in ended]

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
            history=_remembering(code, detail),
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
            raise LostLease

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

    async def page(self, wanted: JobFilter, *, before: UUID | None, limit: int) -> list[tuple[Job, str]]:
        """Jobs, newest first."""
        conditions = wanted.conditions()
        if before is not None:
            conditions.append(Job.id < before)
        rows = await self._session.execute(
            select(Job, Document.name)
            .join(Document, Document.id == Job.document_id)
            .where(*conditions)
            .order_by(Job.id.desc())
            .limit(limit)
        )
        return [(row[0], row[1]) for row in rows]
