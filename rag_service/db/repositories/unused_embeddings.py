"""Queries on embeddings that no chunk has a use for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Chunk, Embedding

Key = tuple[str, str]
"""Model and content hash."""


@dataclass(frozen=True)
class Page:
    """How many embeddings were looked at, the last of them, and those that nobody uses."""

    looked_at: int
    last: Key | None
    unused: list[Key]


class UnusedEmbeddings:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page(self, *, after: Key | None, older: timedelta, limit: int) -> Page:
        """Look at `limit` embeddings in order of their keys; a younger one than `older` counts as used."""
        used = exists().where(Chunk.content_hash == Embedding.content_hash)
        unused = (Embedding.created_at < func.now() - older) & ~used
        statement = (
            select(Embedding.model, Embedding.content_hash, unused)
            .order_by(Embedding.model, Embedding.content_hash)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(Embedding.model, Embedding.content_hash) > after)
        rows = list(await self._session.execute(statement))
        last = (rows[-1][0], rows[-1][1]) if rows else None
        return Page(len(rows), last, [(row[0], row[1]) for row in rows if row[2]])

    async def remove(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Remove those that are still of no use. Returns their vectors, for `put_back`."""
        rows = await self._session.execute(
            delete(Embedding)
            .where(
                tuple_(Embedding.model, Embedding.content_hash).in_(keys),
                ~exists().where(Chunk.content_hash == Embedding.content_hash),
            )
            .returning(Embedding.model, Embedding.content_hash, Embedding.vector)
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def put_back(self, removed: dict[Key, bytes]) -> int:
        """Of what was removed, in a transaction before this one, bring back what is of use again; returns how much.

        A job may have entered a chunk and read the embedding that it needs while that was being removed.
        """
        hashes = {content_hash for _, content_hash in removed}
        wanted = set(
            await self._session.scalars(select(Chunk.content_hash).where(Chunk.content_hash.in_(hashes)))
        )
        rows = [
            {"model": model, "content_hash": content_hash, "vector": vector}
            for (model, content_hash), vector in sorted(removed.items())
            if content_hash in wanted
        ]
        if rows:
            await self._session.execute(insert(Embedding).on_conflict_do_nothing(), rows)
        return len(rows)
