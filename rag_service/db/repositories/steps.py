"""Queries of a job's steps, each made for several jobs at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Integer, String, Text, Uuid, cast, column, func, select, text, tuple_, update, values
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, DocumentVersion, Job, KnowledgeBase
from rag_service.db.repositories.jobs import FINISHED, Jobs
from rag_service.db.repositories.lexical import ACTIVE_CHANNEL


@dataclass(frozen=True)
class ToRead:
    """A version that is to be read, and for whom."""

    blob: str
    size: int
    name: str
    knowledge_base: KnowledgeBase


@dataclass(frozen=True)
class Reached:
    """How far the work on a job has come."""

    job: Job
    state: str
    done: int
    total: int
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Readable:
    """A job's outcome: what is known of the version that it has made readable."""

    job: Job
    media_type: str
    title: str | None
    pages: int | None
    chunk_count: int


@dataclass(frozen=True)
class Activated:
    """What comes of versions becoming active."""

    deleted: set[UUID]
    """The jobs whose document was deleted."""

    unwanted: list[tuple[UUID, UUID]]
    """Knowledge base and id of the versions that are stale now: those whose place was taken, and those of which a newer
    one is active already."""


class Steps:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def to_read(self, version_ids: Collection[UUID]) -> dict[UUID, ToRead]:
        """What a worker needs of these versions; one whose document was deleted is left out."""
        rows = await self._session.execute(
            select(
                DocumentVersion.id, DocumentVersion.blob, DocumentVersion.size, Document.name, KnowledgeBase
            )
            .join(Document, Document.id == DocumentVersion.document_id)
            .join(KnowledgeBase, KnowledgeBase.id == Document.knowledge_base_id)
            .where(
                DocumentVersion.id.in_(version_ids),
                Document.deleted_at.is_(None),
                KnowledgeBase.deleted_at.is_(None),
            )
        )
        return {row[0]: ToRead(*row[1:]) for row in rows}

    async def advance(self, reached: Sequence[Reached], *, lease: timedelta) -> set[UUID]:
        """Record where the work is, renew the leases, and hold the jobs' rows; the ids of those that are still ours."""
        now = values(
            column("id", Uuid()),
            column("fence", Integer),
            column("state", String),
            column("done", Integer),
            column("total", Integer),
            column("warnings", ARRAY(Text)),
            name="reached",
        ).data(
            [
                (one.job.id, one.job.fence, one.state, one.done, one.total, list(one.warnings))
                for one in reached
            ]
        )
        ours = await self._session.scalars(
            update(Job)
            .where(
                Job.id == now.c.id,
                Job.fence == now.c.fence,
                Job.state.not_in([*FINISHED, "queued"]),
            )
            .values(
                state=now.c.state,
                done=now.c.done,
                total=now.c.total,
                warnings=cast(now.c.warnings, ARRAY(Text)),
                lease_until=func.now() + lease,
            )
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        )
        return set(ours)

    async def succeed(self, jobs: Sequence[Job]) -> set[UUID]:
        """End these jobs well; the ids of those that were still ours to end."""
        ours = tuple_(Job.id, Job.fence).in_([(job.id, job.fence) for job in jobs])
        return set(
            await Jobs(self._session).end_where(
                ours, Job.state != "queued", state="succeeded", lease_until=None
            )
        )

    async def activate(self, readable: Sequence[Readable]) -> Activated:
        """Make each version what its document says. The last upload wins, and a delete over both."""
        by_version = {one.job.version_id: one for one in readable}
        rows = await self._session.execute(
            select(DocumentVersion, Document)
            .join(Document, Document.id == DocumentVersion.document_id)
            .where(DocumentVersion.id.in_(by_version))
            .order_by(Document.id, DocumentVersion.number)
            .with_for_update(of=Document)
            .execution_options(populate_existing=True)
        )
        found = [(row[0], row[1]) for row in rows]
        numbers = await self._numbers([document.active_version_id for _, document in found])
        deleted = {one.job.id for one in readable}
        unwanted: list[tuple[UUID, UUID]] = []
        for version, document in found:
            if document.deleted_at is not None:
                continue
            one = by_version[version.id]
            deleted.discard(one.job.id)
            version.state = "ready"
            version.media_type, version.title, version.pages = one.media_type, one.title, one.pages
            version.chunk_count = one.chunk_count
            previous = document.active_version_id
            numbers[version.id] = version.number
            if previous == version.id:
                continue
            if previous is not None and numbers[previous] > version.number:
                unwanted.append((document.knowledge_base_id, version.id))
                continue
            if previous is not None:
                unwanted.append((document.knowledge_base_id, previous))
            document.active_version_id = version.id
            version.activated_at = datetime.now(UTC)
        await self._session.flush()
        await self._session.execute(text(f"NOTIFY {ACTIVE_CHANNEL}"))
        return Activated(deleted, unwanted)

    async def _numbers(self, version_ids: Sequence[UUID | None]) -> dict[UUID, int]:
        wanted = {id for id in version_ids if id is not None}
        if not wanted:
            return {}
        rows = await self._session.execute(
            select(DocumentVersion.id, DocumentVersion.number).where(DocumentVersion.id.in_(wanted))
        )
        return {row[0]: row[1] for row in rows}
