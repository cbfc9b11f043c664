"""The audit log: entries are added by what they tell of, read by admins, and removed by their age alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.caller import caller
from rag_service.db.models import AuditEntry, KnowledgeBase, new_id


async def record(
    session: AsyncSession,
    action: str,
    target_id: object,
    *,
    knowledge_base_id: UUID | None = None,
    **details: Any,
) -> None:
    """Write down that the caller did `action`, such as `document.deleted`, in the transaction that does it: the two
    are committed together or not at all.

    `details` are plain values of JSON, never a secret nor what a user wrote. What a worker does by itself has no
    caller and is not written down.
    """
    acting = caller.get()
    if acting is None:
        return
    slug = select(KnowledgeBase.slug).where(KnowledgeBase.id == knowledge_base_id).scalar_subquery()
    session.add(
        AuditEntry(
            id=new_id(),
            actor=acting.subject,
            key_prefix=acting.key_prefix,
            key_name=acting.key_name,
            action=action,
            target_type=action.partition(".")[0],
            target_id=str(target_id),
            knowledge_base=slug if knowledge_base_id else None,
            request_id=acting.request_id,
            ip=acting.ip[:64],  # a proxy may be made to pass on whatever it is given
            details=details,
        )
    )
    await session.flush()


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are wanted; what is not said does not matter."""

    actor: str | None = None
    action: str | None = None
    knowledge_base: str | None = None
    after: datetime | None = None
    before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted: list[ColumnElement[bool]] = []
        if self.actor is not None:
            wanted.append((AuditEntry.actor == self.actor) | (AuditEntry.key_prefix == self.actor))
        if self.action is not None:
            wanted.append(AuditEntry.action == self.action)
        if self.knowledge_base is not None:
            wanted.append(AuditEntry.knowledge_base == self.knowledge_base)
        if self.after is not None:
            wanted.append(AuditEntry.at > self.after)
        if self.before is not None:
            wanted.append(AuditEntry.at < self.before)
        return wanted


class Audit:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page(self, wanted: AuditFilter, *, before: UUID | None, limit: int) -> list[AuditEntry]:
        """Entries, the newest first."""
        conditions = wanted.conditions()
        if before is not None:
            conditions.append(AuditEntry.id < before)
        return list(
            await self._session.scalars(
                select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc()).limit(limit)
            )
        )

    async def forget(self, *, older: timedelta) -> int:
        """Remove entries older than that; how many there were."""
        rows = await self._session.scalars(
            delete(AuditEntry).where(AuditEntry.at < func.now() - older).returning(AuditEntry.id)
        )
        return len(rows.all())
