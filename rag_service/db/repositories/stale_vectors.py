"""Queries on debts to the vector index: what is to be removed from it, until it is."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Chunk, Document, DocumentVersion, Job, StaleVectors, new_id
from rag_service.db.repositories.jobs import FINISHED

MOST_IDS = 5000
"""Ids of one debt: as many as are removed in one go."""


class Stale:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enter(self, collection: str, ids: Sequence[UUID]) -> None:
        """These entries are to go. Entered in the transaction that makes them stale, none is forgotten."""
        for start in range(0, len(ids), MOST_IDS):
            part = list(ids[start : start + MOST_IDS])
            self._session.add(StaleVectors(id=new_id(), collection=collection, chunk_ids=part))
        await self._session.flush()

    async def enter_collection(self, collection: str) -> None:
        """All of a collection is to go. It is owed once, however often it is entered before it is paid."""
        owed = select(StaleVectors.id).where(
            StaleVectors.collection == collection, StaleVectors.chunk_ids.is_(None)
        )
        # One that is locked is being paid, perhaps for the last time.
        if await self._session.scalar(owed.limit(1).with_for_update(read=True, skip_locked=True)) is not None:
            return
        self._session.add(StaleVectors(id=new_id(), collection=collection, chunk_ids=None))
        await self._session.flush()

    async def next(self) -> StaleVectors | None:
        """The oldest debt; workers that ask at the same moment get different ones."""
        return await self._session.scalar(
            select(StaleVectors).order_by(StaleVectors.id).limit(1).with_for_update(skip_locked=True)
        )

    async def still_stale(self, ids: Sequence[UUID]) -> list[UUID]:
        """Those of `ids` that are not wanted after all.

        Wanted is what belongs to an active version, or to one that a job is open for. The documents are locked until
        the end of the transaction, so that no job can be entered for them in between, and none tried anew.
        """
        theirs = (
            select(DocumentVersion.document_id)
            .join(Chunk, Chunk.version_id == DocumentVersion.id)
            .where(Chunk.id.in_(ids))
        )
        # First, and all of them: what is wanted is looked up when nobody can change it any more.
        await self._session.execute(
            select(Document.id).where(Document.id.in_(theirs)).order_by(Document.id).with_for_update()
        )
        rows = await self._session.scalars(
            select(Chunk.id)
            .join(DocumentVersion, DocumentVersion.id == Chunk.version_id)
            .join(Document, Document.id == DocumentVersion.document_id)
            .where(
                Chunk.id.in_(ids),
                Document.deleted_at.is_(None),
                or_(
                    Document.active_version_id == DocumentVersion.id,
                    exists().where(Job.version_id == DocumentVersion.id, Job.state.not_in(FINISHED)),
                ),
            )
        )
        wanted = set(rows)
        return [id for id in ids if id not in wanted]

    async def settle(self, debt: StaleVectors) -> None:
        """The entries are gone."""
        await self._session.execute(delete(StaleVectors).where(StaleVectors.id == debt.id))
