"""Queries on conversations and messages. Who asks is part of every query: a foreign row does not exist."""

import unicodedata
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, exists, func, literal, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from rag_service.db.models import Channel, Conversation, KnowledgeBase, Message, MessageState, Role, new_id
from rag_service.db.repositories.branches import no_such_message
from rag_service.errors import NotFound

SEARCHED = 2000
"""How many of a caller's conversations, the last used ones, a search looks through."""


class Conversations:
    def __init__(self, session: AsyncSession, owner: str) -> None:
        self._session = session
        self._owner = owner
        self._started: UUID | None = None

    async def get(self, conversation_id: UUID, *, keep: bool = False) -> Conversation:
        """A conversation; with `keep` nobody can delete it until the transaction ends.

        Raises:
            NotFound: there is none, it is another caller's, or its knowledge base was deleted: all look the same.
        """
        statement = (
            select(Conversation)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(
                Conversation.id == conversation_id,
                Conversation.owner == self._owner,
                KnowledgeBase.deleted_at.is_(None),
            )
        )
        if keep:
            statement = statement.with_for_update(read=True, key_share=True, of=Conversation)
        found = await self._session.scalar(statement)
        if found is None:
            raise _no_such()
        return found

    async def start(self, knowledge_base_id: UUID, title: str, channel: Channel = "chat") -> Conversation:
        conversation = Conversation(
            id=new_id(),
            owner=self._owner,
            knowledge_base_id=knowledge_base_id,
            title=title,
            channel=channel,
        )
        self._session.add(conversation)
        await self._session.flush()
        self._started = conversation.id
        return conversation

    async def page(
        self,
        *,
        before: UUID | None,
        limit: int,
        words: str | None = None,
        archived: bool = False,
        channel: Channel = "chat",
    ) -> list[tuple[Conversation, str]]:
        """Conversations of a channel with the slug of their knowledge base: the pinned first, then the one last used.

        `words` must stand, as they are, in the title or a message; the newest `SEARCHED` are looked through.
        """
        statement = self._listed().where(Conversation.channel == channel).limit(limit)
        shown = Conversation.archived_at.is_not(None) if archived else Conversation.archived_at.is_(None)
        statement = statement.where(shown)
        if words is not None:
            newest = (
                select(Conversation.id)
                .where(Conversation.owner == self._owner, Conversation.channel == channel, shown)
                .order_by(Conversation.updated_at.desc())
                .limit(SEARCHED)
            )
            statement = statement.where(Conversation.id.in_(newest), _says(words))
        if before is not None:
            mark = await self.get(before)
            statement = statement.where(
                tuple_(Conversation.pinned_at.is_not(None), Conversation.updated_at, Conversation.id)
                < tuple_(literal(mark.pinned_at is not None), literal(mark.updated_at), literal(mark.id))
            )
        return [(row[0], row[1]) for row in await self._session.execute(statement)]

    async def with_slug(self, conversation_id: UUID) -> tuple[Conversation, str]:
        """A conversation with the slug of its knowledge base. Raises NotFound."""
        row = (
            await self._session.execute(self._listed().where(Conversation.id == conversation_id))
        ).one_or_none()
        if row is None:
            raise _no_such()
        return row[0], row[1]

    def _listed(self) -> Select[Conversation, str]:
        return (
            select(Conversation, KnowledgeBase.slug)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(Conversation.owner == self._owner, KnowledgeBase.deleted_at.is_(None))
            .order_by(
                Conversation.pinned_at.is_not(None).desc(),
                Conversation.updated_at.desc(),
                Conversation.id.desc(),
            )
        )

    async def change(
        self,
        conversation_id: UUID,
        *,
        title: str | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
    ) -> tuple[Conversation, str]:
        """Set what is not None. Raises NotFound."""
        found, slug = await self.with_slug(conversation_id)
        if title is not None:
            found.title = title
        if pinned is not None and pinned != (found.pinned_at is not None):
            found.pinned_at = datetime.now(UTC) if pinned else None
        if archived is not None and archived != (found.archived_at is not None):
            found.archived_at = datetime.now(UTC) if archived else None
        await self._session.flush()
        return found, slug

    async def delete(self, conversation_id: UUID) -> None:
        """Raises NotFound where there is none."""
        await self._session.delete(await self.get(conversation_id))

    async def message(self, message_id: UUID) -> Message:
        """Raises NotFound where there is none, its conversation is foreign, or its knowledge base was deleted."""
        found = await self._session.scalar(
            select(Message)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .join(KnowledgeBase, KnowledgeBase.id == Conversation.knowledge_base_id)
            .where(
                Message.id == message_id,
                Conversation.owner == self._owner,
                KnowledgeBase.deleted_at.is_(None),
            )
        )
        if found is None:
            raise no_such_message()
        return found

    async def leading_to(self, message_id: UUID, *, newest: int) -> list[Message]:
        """The last `newest` messages on the way to a message, oldest first: each is the parent of the next.

        What was said on other branches of the conversation, or at the same time, is not among them.
        """
        way = (
            select(Message.parent_id, literal(1).label("step"))
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Message.id == message_id, Conversation.owner == self._owner)
            .cte(recursive=True)
        )
        way = way.union_all(
            select(Message.parent_id, way.c.step + 1)
            .join(way, Message.id == way.c.parent_id)
            .where(way.c.step < newest)
        )
        rows = await self._session.scalars(
            select(Message).join(way, Message.id == way.c.parent_id).order_by(way.c.step.desc())
        )
        return list(rows)

    async def add_turn(
        self, conversation: Conversation, question: str, parent_id: UUID | None
    ) -> tuple[Message, Message]:
        """Save a question and, in state `streaming`, the answer that is about to be made."""
        asked = _message(conversation, "user", question, parent_id, "complete")
        answer = _message(conversation, "assistant", "", asked.id, "streaming")
        await self._save(conversation, asked, answer)
        return asked, answer

    async def add_answer(self, conversation: Conversation, asked: Message) -> Message:
        """Save, in state `streaming`, an answer to a question beside those that it has."""
        return await self.add_message(conversation, "assistant", "", asked.id, state="streaming")

    async def add_message(
        self,
        conversation: Conversation,
        role: Role,
        content: str,
        parent_id: UUID | None,
        *,
        state: MessageState = "complete",
    ) -> Message:
        """Save a message; the conversation is the last used one from now on."""
        message = _message(conversation, role, content, parent_id, state)
        await self._save(conversation, message)
        return message

    async def _save(self, conversation: Conversation, *messages: Message) -> None:
        self._session.add_all(messages)
        await self._session.flush()
        if conversation.id != self._started:  # one that was started here is the last used one already
            await self._session.execute(
                update(Conversation).where(Conversation.id == conversation.id).values(updated_at=func.now())
            )

    async def empty(self, conversation: Conversation) -> None:
        """Remove all its messages."""
        await self._session.execute(delete(Message).where(Message.conversation_id == conversation.id))

    async def finish(self, message_id: UUID, **values: Any) -> None:
        """Save how an answer ended. One that has ended already stays as it is; one that another process
        took for interrupted was not, as its own process knows better."""
        await self._session.execute(
            update(Message)
            .where(Message.id == message_id, Message.state.in_(("streaming", "interrupted")))
            .values(finished_at=func.now(), **values)
        )


def _message(
    conversation: Conversation, role: Role, content: str, parent_id: UUID | None, state: MessageState
) -> Message:
    return Message(
        id=new_id(),
        conversation_id=conversation.id,
        parent_id=parent_id,
        role=role,
        state=state,
        content=content,
    )


def _says(words: str) -> ColumnElement[bool]:
    """Whether these words stand in a conversation's title or in one of its messages.

    Capitals do not matter, nor whether a sign with a dot or a stroke is written as one character or as two, as it is
    in Bangla.
    """
    wanted = unicodedata.normalize("NFKC", words)

    def holds(column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        # Normalising takes most of the time, and plain letters have no second form.
        text_of = column if wanted.isascii() else func.normalize(column, text("NFKC"))
        return text_of.icontains(wanted, autoescape=True)

    said = exists().where(Message.conversation_id == Conversation.id, holds(Message.content))
    return or_(holds(Conversation.title), said)


def _no_such() -> NotFound:
    return NotFound("There is no such conversation.", code="conversation_not_found")
