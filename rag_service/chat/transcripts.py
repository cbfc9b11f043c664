"""A conversation as it is read back: one branch or all of them, with siblings and feedback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Conversation, Feedback, Message
from rag_service.db.repositories.branches import Branches, no_such_message
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.feedback import OwnFeedback


@dataclass(frozen=True)
class Transcript:
    """Messages, oldest first. `cursor` leads to those before the first; None where there are none."""

    conversation: Conversation
    slug: str
    messages: Sequence[Message]
    siblings: Mapping[UUID, Sequence[UUID]]
    feedback: Mapping[UUID, Feedback]
    cursor: UUID | None = None


async def read(
    session: AsyncSession,
    owner: str,
    conversation_id: UUID,
    *,
    limit: int,
    cursor: UUID | None = None,
    branch: UUID | None = None,
    whole: bool = False,
) -> Transcript:
    """The last `limit` messages of the newest branch, of the newest one through `branch`, or, with `whole`, of all.

    `cursor` is the first message of the page before; it tells its branch by itself.

    Raises:
        NotFound: no such conversation of this caller's, or no such message in it.
    """
    conversation, slug = await Conversations(session, owner).with_slug(conversation_id)
    branches = Branches(session, conversation)
    if whole:
        found = await branches.all(before=cursor, limit=limit + 1)
        is_more, messages = len(found) > limit, found[-limit:]
    else:
        messages = await _path(branches, limit, cursor, branch)
        is_more = bool(messages) and messages[0].parent_id is not None
    return Transcript(
        conversation,
        slug,
        messages,
        await branches.siblings(messages),
        await OwnFeedback(session, owner).of([message.id for message in messages]),
        messages[0].id if is_more else None,
    )


async def _path(branches: Branches, limit: int, cursor: UUID | None, branch: UUID | None) -> list[Message]:
    if cursor is not None:
        mark = await branches.find(cursor)
        if mark is None:
            raise no_such_message()
        end = mark.parent_id
    else:
        end = await branches.leaf(below=branch)
    return await branches.path(end, limit=limit) if end is not None else []
