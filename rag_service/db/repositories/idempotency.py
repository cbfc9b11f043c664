"""Requests that may be sent again: the second one of a key gets the answer of the first."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import IdempotencyKey
from rag_service.errors import InvalidInput

KEEP = timedelta(hours=24)

Answer = dict[str, Any]


class Repeated(Exception):
    """The request came before under its key, and `answer` is what it was given then."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True)
class Once:
    """A request of a caller's under its Idempotency-Key. Without a key it is done as often as it is sent."""

    owner: str
    key: str | None

    async def answer(self, session: AsyncSession, said: str, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `act` gives; or what it gave the first time, without doing it again.

        `said` is all that the request asks for. The key is entered in the same transaction as what it guards: a
        repeat that comes meanwhile waits for its end, and what failed has left no trace and may be sent again.

        Raises:
            InvalidInput: the key came with another request before.
        """
        try:
            await self.claim(session, said)
        except Repeated as repeated:
            return repeated.answer
        answer = await act()
        await self.keep(session, answer)
        return answer

    async def claim(self, session: AsyncSession, said: str) -> None:
        """Enter the key; `keep` has to follow in the same transaction.

        Raises:
            Repeated: the same request was entered before.
            InvalidInput: the key came with another request before.
        """
        if self.key is None:
            return
        known = await _Keys(session, self.owner, self.key).claim(hashlib.sha256(said.encode()).hexdigest())
        if known is not None:
            raise Repeated(known)

    async def keep(self, session: AsyncSession, answer: Answer) -> None:
        """Note what a repeat shall be given."""
        if self.key is not None:
            await _Keys(session, self.owner, self.key).keep(answer)


class _Keys:
    def __init__(self, session: AsyncSession, owner: str, key: str) -> None:
        self._session = session
        self._mine = (IdempotencyKey.owner == owner) & (IdempotencyKey.key == key)
        self._values = {"owner": owner, "key": key}

    async def claim(self, request_hash: str) -> Answer | None:
        """The first one's answer; None where this is the first."""
        anew = {"request_hash": request_hash, "response": None, "created_at": func.now()}
        claimed = await self._session.scalar(
            insert(IdempotencyKey)
            .values(**self._values, request_hash=request_hash)
            .on_conflict_do_update(
                index_elements=["owner", "key"],
                set_=anew,
                where=IdempotencyKey.created_at < func.now() - KEEP,
            )
            .returning(IdempotencyKey.key)
        )
        if claimed is not None:
            return None
        found = (await self._session.scalars(select(IdempotencyKey).where(self._mine))).one()
        if found.request_hash != request_hash or found.response is None:
            raise InvalidInput(
                "This Idempotency-Key came with another request before: use a new key for a new request.",
                code="idempotency_key_reused",
            )
        return found.response

    async def keep(self, answer: Answer) -> None:
        await self._session.execute(update(IdempotencyKey).where(self._mine).values(response=answer))


async def forget_old(session: AsyncSession) -> None:
    """Remove the keys that count no more."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - KEEP))
