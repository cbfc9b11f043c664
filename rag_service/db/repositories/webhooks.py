"""Queries on webhook deliveries: what others are told of jobs that have ended."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, Job, KnowledgeBase, WebhookDelivery, new_id


class WebhookDeliveries:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enter(self, jobs: Sequence[Job]) -> None:
        """Have it told that these jobs ended, if the caller's transaction commits."""
        rows = await self._session.execute(
            select(Document.id, Document.name, KnowledgeBase.slug)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(Document.id.in_({job.document_id for job in jobs}))
        )
        named = {row[0]: (row[1], row[2]) for row in rows}
        now = datetime.now(UTC)
        self._session.add_all(
            WebhookDelivery(
                id=new_id(), job_id=job.id, payload=_payload(job, *named[job.document_id]), not_before=now
            )
            for job in jobs
        )
        await self._session.flush()

    async def claim(self, *, hold: timedelta) -> WebhookDelivery | None:
        """The delivery that has been due the longest. Unless its outcome is recorded, it is due again after `hold`."""
        chosen = (
            select(WebhookDelivery.id)
            .where(WebhookDelivery.not_before <= func.now())
            .order_by(WebhookDelivery.not_before)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).scalar_subquery()
        return await self._session.scalar(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == chosen)
            .values(attempts=WebhookDelivery.attempts + 1, not_before=func.now() + hold)
            .returning(WebhookDelivery)
        )

    async def delivered(self, delivery: WebhookDelivery) -> None:
        """It has arrived."""
        await self._record(delivery, not_before=None, delivered_at=func.now(), error=None)

    async def failed(self, delivery: WebhookDelivery, error: str, *, again_after: timedelta | None) -> None:
        """It has not arrived. Without `again_after` it is given up, and `error` says why."""
        again = None if again_after is None else func.now() + again_after
        await self._record(delivery, not_before=again, error=error)

    async def _record(self, delivery: WebhookDelivery, **values: object) -> None:
        # Not over what a later attempt of another worker found out.
        await self._session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == delivery.id, WebhookDelivery.attempts == delivery.attempts)
            .values(**values)
            .execution_options(synchronize_session=False)
        )

    async def discard_due(self) -> None:
        """Nobody wants to be told: forget all that has not been delivered."""
        await self._session.execute(delete(WebhookDelivery).where(WebhookDelivery.not_before.is_not(None)))

    async def discard_old(self, *, older_than: timedelta) -> None:
        """Forget deliveries that were made or given up, and are older than that."""
        await self._session.execute(
            delete(WebhookDelivery).where(
                WebhookDelivery.not_before.is_(None), WebhookDelivery.created_at < func.now() - older_than
            )
        )


def _payload(job: Job, filename: str, knowledge_base: str) -> dict[str, Any]:
    ended = job.finished_at or datetime.now(UTC)
    error = {"code": job.error_code, "detail": job.error_detail or ""} if job.error_code else None
    return {
        "type": f"job.{job.state}",
        "timestamp": ended.isoformat(),
        "data": {
            "job_id": str(job.id),
            "document_id": str(job.document_id),
            "knowledge_base": knowledge_base,
            "filename": filename,
            "state": job.state,
            "progress": {"done": job.done, "total": job.total},
            "attempts": job.attempts,
            "warnings": job.warnings,
            "error": error,
            "created_at": job.created_at.isoformat(),
            "finished_at": ended.isoformat(),
        },
    }
