"""Queries on runs and their events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Integer, Uuid, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Conversation, KnowledgeBase, StoredEvents, StoredRun

STOP_CHANNEL = "run_stop"
CLEAN_AT_ONCE = 1000
FOLLOWED_FOR = timedelta(seconds=5)
"""How long a run counts as followed after a reader elsewhere was noted."""

_ADD = text(
    "INSERT INTO run_events (run_id, first, last, events) "
    "SELECT one.run_id, one.first, one.last, one.events "
    "FROM unnest(CAST(:runs AS uuid[]), CAST(:firsts AS integer[]), CAST(:lasts AS integer[]), "
    "CAST(:events AS text[])) AS one (run_id, first, last, events) "
    # What comes for a run that is gone, or was ended by somebody else, comes too late.
    "JOIN runs ON runs.id = one.run_id AND runs.ended_at IS NULL "
    "ON CONFLICT (run_id, first) DO UPDATE SET last = excluded.last, events = excluded.events "
    "WHERE excluded.last > run_events.last"
)


@dataclass(frozen=True)
class Batch:
    """Events of a run in a row, as JSON, with the numbers of the first and the last one."""

    run_id: UUID
    first: int
    last: int
    events: str


def lock_key(replica: str) -> str:
    """The name of the advisory lock that a replica holds for as long as it lives."""
    return f"rag-replica {replica}"


class Runs:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, run: StoredRun) -> None:
        """Enter a run, in the transaction that enters its answer."""
        self._session.add(run)

    async def get(self, run_id: UUID, owner: str) -> StoredRun | None:
        """A run of this caller's; None where there is none, it is another's, or its knowledge base was deleted."""
        return await self._session.scalar(
            select(StoredRun)
            # Both are in the caller's scope.
            .join(Conversation, Conversation.id == StoredRun.conversation_id)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(StoredRun.id == run_id, StoredRun.owner == owner, KnowledgeBase.deleted_at.is_(None))
        )

    async def store(self, batches: Sequence[Batch]) -> None:
        """Add events. Batches may overlap with what is there: a longer one takes a shorter one's place."""
        values = {
            "runs": [batch.run_id for batch in batches],
            "firsts": [batch.first for batch in batches],
            "lasts": [batch.last for batch in batches],
            "events": [batch.events for batch in batches],
        }
        await self._session.execute(_ADD, values)

    async def events(self, seen: Mapping[UUID, int]) -> list[Batch]:
        """What runs have told behind the last number seen of each, in order. Batches may overlap."""
        ids = literal(list(seen), ARRAY(Uuid))
        numbers = literal(list(seen.values()), ARRAY(Integer))
        wanted = func.unnest(ids, numbers).table_valued("run_id", "seen", name="wanted").render_derived()
        rows = await self._session.execute(
            select(StoredEvents.run_id, StoredEvents.first, StoredEvents.last, StoredEvents.events)
            .join(wanted, (StoredEvents.run_id == wanted.c.run_id) & (StoredEvents.last > wanted.c.seen))
            .order_by(StoredEvents.run_id, StoredEvents.first)
        )
        return [Batch(*row) for row in rows]

    async def note_followers(self, run_ids: Sequence[UUID]) -> None:
        """Somebody reads these runs here, which another process makes."""
        await self._session.execute(
            update(StoredRun)
            .where(StoredRun.id.in_(run_ids), StoredRun.ended_at.is_(None))
            .values(followed_at=func.now())
        )

    async def is_followed(self, run_id: UUID) -> bool:
        """Whether somebody reads a run by another process than the one that makes it."""
        found = await self._session.scalar(
            select(StoredRun.id).where(
                StoredRun.id == run_id, StoredRun.followed_at > func.now() - FOLLOWED_FOR
            )
        )
        return found is not None

    async def known(self, run_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the runs that still exist."""
        return set(await self._session.scalars(select(StoredRun.id).where(StoredRun.id.in_(run_ids))))

    async def end(self, run_id: UUID) -> None:
        await self._session.execute(
            update(StoredRun)
            .where(StoredRun.id == run_id, StoredRun.ended_at.is_(None))
            .values(ended_at=func.now())
        )

    async def forget_events(self, run_id: UUID) -> None:
        await self._session.execute(delete(StoredEvents).where(StoredEvents.run_id == run_id))

    async def request_stop(self, run_id: UUID, owner: str) -> bool:
        """Have whoever makes it stop a run of this caller's. False where there is none under way."""
        found = await self._session.scalar(
            update(StoredRun)
            .where(
                StoredRun.id == run_id,
                StoredRun.owner == owner,
                StoredRun.ended_at.is_(None),
                StoredRun.conversation_id.in_(select(Conversation.id)),  # those in the caller's scope
            )
            .values(stop_requested=True)
            .returning(StoredRun.id)
        )
        if found is not None:
            await self._session.execute(select(func.pg_notify(STOP_CHANNEL, "")))
        return found is not None

    async def to_stop(self, replica: str) -> list[UUID]:
        """The runs of a replica that somebody wants stopped."""
        rows = await self._session.scalars(
            select(StoredRun.id).where(
                StoredRun.replica == replica, StoredRun.ended_at.is_(None), StoredRun.stop_requested
            )
        )
        return list(rows)

    async def free_replicas(self, *, but: str) -> list[str]:
        """Other replicas with runs under way that do not hold their lock at the moment."""
        names = await self._session.scalars(
            select(StoredRun.replica).where(StoredRun.ended_at.is_(None), StoredRun.replica != but).distinct()
        )
        return [name for name in names if await self.claim(name)]

    async def claim(self, replica: str) -> bool:
        """Hold the lock of another replica until the transaction ends. False where the replica holds it itself."""
        key = func.hashtextextended(lock_key(replica), 0)
        return bool(await self._session.scalar(select(func.pg_try_advisory_xact_lock(key))))

    async def next_of(self, replica: str) -> StoredRun | None:
        """A run under way of a replica, held until the transaction ends."""
        return await self._session.scalar(
            select(StoredRun)
            .where(StoredRun.replica == replica, StoredRun.ended_at.is_(None))
            .order_by(StoredRun.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )

    async def clean(self, age: timedelta) -> None:
        """Forget runs, with their events, that ended so long ago."""
        old = (
            select(StoredRun.id)
            .where(StoredRun.ended_at < func.now() - age)
            .limit(CLEAN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await self._session.execute(delete(StoredRun).where(StoredRun.id.in_(old)))
