"""Queries on the tree of a conversation's messages. Each belongs to the caller, or does not exist."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import CTE

from rag_service.db.models import Conversation, Message
from rag_service.errors import NotFound


class Branches:
    """One conversation of one caller; that it is theirs was checked before, by `Conversations.get`."""

    def __init__(self, session: AsyncSession, conversation: Conversation) -> None:
        self._session = session
        self._conversation_id = conversation.id

    async def find(self, message_id: UUID) -> Message | None:
        """The message, where it is one of the conversation."""
        return await self._session.scalar(select(Message).where(Message.id == message_id, self._mine))

    async def newest_answer(self) -> Message | None:
        """The newest answer that is no longer being made: what a question follows that does not say what it does."""
        return await self._session.scalar(
            select(Message)
            .where(self._mine, Message.role == "assistant", Message.state != "streaming")
            .order_by(Message.id.desc())
            .limit(1)
        )

    async def is_being_answered(self, question_id: UUID) -> bool:
        """Whether an answer to the question is on its way."""
        found = await self._session.scalar(
            select(Message.id).where(Message.parent_id == question_id, Message.state == "streaming").limit(1)
        )
        return found is not None

    async def count_behind(self, parent_id: UUID | None) -> int:
        """How many messages follow this one, or, with None, how many begin the conversation."""
        counted = select(func.count()).select_from(Message).where(self._mine)
        return await self._session.scalar(counted.where(Message.parent_id == parent_id)) or 0

    async def leaf(self, below: UUID | None = None) -> UUID | None:
        """The newest message; with `below` the newest of those that hang on that message, itself included.

        Raises:
            NotFound: `below` is no message of the conversation.
        """
        if below is None:
            return await self._session.scalar(
                select(Message.id).where(self._mine).order_by(Message.id.desc()).limit(1)
            )
        tree = select(Message.id).where(Message.id == below, self._mine).cte(recursive=True)
        tree = tree.union_all(select(Message.id).join(tree, Message.parent_id == tree.c.id))
        found: UUID | None = await self._session.scalar(select(tree.c.id).order_by(tree.c.id.desc()).limit(1))
        if found is None:
            raise no_such_message()
        return found

    async def path(self, leaf: UUID, *, limit: int) -> list[Message]:
        """The last `limit` messages on the way from the first question to `leaf`, that one included, oldest first."""
        way = _way(and_(Message.id == leaf, self._mine), limit)
        rows = await self._session.scalars(
            select(Message).join(way, Message.id == way.c.id).order_by(way.c.step.desc())
        )
        return list(rows)

    async def all(self, *, before: UUID | None, limit: int) -> list[Message]:
        """The newest messages of all branches, those older than `before` where it is given, oldest first."""
        statement = select(Message).where(self._mine).order_by(Message.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(Message.id < before)
        return list(await self._session.scalars(statement))[::-1]

    async def siblings(self, messages: Sequence[Message]) -> dict[UUID, list[UUID]]:
        """Of each message, the ids of all that share its parent, itself included, oldest first."""
        parents = {message.parent_id for message in messages}
        rows = await self._session.execute(
            select(Message.id, Message.parent_id)
            .where(
                self._mine,
                or_(
                    Message.parent_id.in_(parents - {None}),
                    Message.parent_id.is_(None) if None in parents else literal(False),
                ),
            )
            .order_by(Message.id)
        )
        families: dict[UUID | None, list[UUID]] = defaultdict(list)
        for message_id, parent_id in rows:
            families[parent_id].append(message_id)
        return {message.id: families[message.parent_id] for message in messages}

    @property
    def _mine(self) -> ColumnElement[bool]:
        return Message.conversation_id == self._conversation_id


def _way(start: ColumnElement[bool], limit: int) -> CTE:
    """A message and those it follows, as `id` and `step`, which counts upwards from 1."""
    way = select(Message.id, Message.parent_id, literal(1).label("step")).where(start).cte(recursive=True)
    return way.union_all(
        select(Message.id, Message.parent_id, way.c.step + 1)
        .join(way, Message.id == way.c.parent_id)
        .where(way.c.step < limit)
    )


def no_such_message() -> NotFound:
    """What is said of a message that does not exist, or is another caller's."""
    return NotFound("There is no such message.", code="message_not_found")
