"""What an admin orders of a job: to be cancelled, to be tried anew."""

from uuid import UUID

from sqlalchemy import exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, DocumentVersion, Job, KnowledgeBase
from rag_service.db.repositories.jobs import FINISHED, JOBS_CHANNEL, Jobs
from rag_service.errors import Conflict, NotFound


class JobOrders:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def cancel(self, job_id: UUID) -> Job | None:
        """End a job that has not ended; its worker, if it has one, notices with the next beat of its lease.

        Returns the job; None where it was cancelled already, and stays so.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended otherwise.
        """
        ended = await Jobs(self._session).end_where(
            Job.id == job_id, state="cancelled", code="cancelled", detail="The job was cancelled."
        )
        job, _ = await Jobs(self._session).get(job_id)
        if ended:
            return job
        if job.state != "cancelled":
            raise Conflict(
                f"This job has ended already, as {job.state}: there is nothing left to cancel.",
                code="job_ended",
            )
        return None

    async def retry(self, job_id: UUID) -> None:
        """Queue a failed, cancelled or quarantined job anew, as if it had never been tried.

        One that is queued or under way is left as it is.

        Raises:
            NotFound: there is no such job.
            Conflict: it succeeded, its document was deleted, or a newer version of that can be asked already.
        """
        job = await self._session.scalar(select(Job).where(Job.id == job_id).with_for_update())
        if job is None:
            raise NotFound("There is no such job.", code="job_not_found")
        if job.state not in FINISHED:
            return
        if job.state == "succeeded":
            raise Conflict("This job succeeded: there is nothing to try again.", code="job_succeeded")
        await self._refuse_unless_wanted(job)
        await self._queue_anew(job)

    async def _refuse_unless_wanted(self, job: Job) -> None:
        version = await self._session.scalar(
            select(DocumentVersion)
            .join(Document, Document.id == DocumentVersion.document_id)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(
                DocumentVersion.id == job.version_id,
                Document.deleted_at.is_(None),
                KnowledgeBase.deleted_at.is_(None),
            )
            # Against whoever finds at this moment that the version's vectors are wanted by no job.
            .with_for_update(of=Document)
        )
        if version is None:
            raise Conflict("The document of this job was deleted. Upload it again.", code="document_deleted")
        newer = exists().where(
            DocumentVersion.document_id == version.document_id,
            DocumentVersion.number > version.number,
            DocumentVersion.state == "ready",
        )
        if await self._session.scalar(select(newer)):
            raise Conflict(
                f"This job is about version {version.number} of its document, and a newer one can be asked already.",
                code="newer_version",
            )

    async def _queue_anew(self, job: Job) -> None:
        job.state = "queued"
        job.attempts = job.done = job.total = 0
        job.warnings = []
        job.error_code = job.error_detail = None
        job.lease_until = job.not_before = job.dispatched_at = None
        job.started_at = job.finished_at = None
        await self._session.execute(
            update(DocumentVersion)
            .where(DocumentVersion.id == job.version_id, DocumentVersion.state == "failed")
            .values(state="pending")
        )
        await self._session.execute(text(f"NOTIFY {JOBS_CHANNEL}"))
