"""Where a turn goes in the tree of a conversation: behind an answer, at the root, or beside an answer there is."""

from enum import Enum
from uuid import UUID

from rag_service.db.models import Message
from rag_service.db.repositories.branches import Branches
from rag_service.errors import Conflict, InvalidInput


class Newest(Enum):
    """Stands for the newest answer, where None stands for the root."""

    NEWEST = "newest"


NEWEST = Newest.NEWEST

SIBLINGS = 100
"""How many versions of a question or of an answer there may be: each is told the ids of all."""

Parent = UUID | None | Newest


async def parent_of(branches: Branches, wanted: Parent) -> UUID | None:
    """The answer that a new question follows; None makes it the first of its branch.

    Raises:
        InvalidInput: it is no answer of the conversation.
        Conflict: it is still being made, or as many questions follow it as may.
    """
    if wanted is None:
        await _check_room(branches, None)
        return None
    if isinstance(wanted, Newest):
        newest = await branches.newest_answer()
        return newest.id if newest else None
    found = await branches.find(wanted)
    if found is None:
        raise InvalidInput("parent_message_id is not a message of this conversation.")
    if found.role != "assistant":
        raise InvalidInput(
            "parent_message_id is a question, and a question follows an answer, or null to be the first one. To have "
            "that question answered anew, send regenerate_message_id and no message."
        )
    if found.state == "streaming":
        raise _under_way()
    await _check_room(branches, found.id)
    return found.id


async def question_of(branches: Branches, message_id: UUID | None) -> Message:
    """The question that is to be answered anew, given itself or one of its answers.

    Raises:
        InvalidInput: it is no message of the conversation.
        Conflict: an answer to it is being made, or it has as many as it may.
    """
    found = await branches.find(message_id) if message_id else None
    if found is not None and found.role == "assistant" and found.parent_id is not None:
        found = await branches.find(found.parent_id)
    if found is None or found.role != "user":
        raise InvalidInput("regenerate_message_id is not a message of this conversation.")
    if await branches.is_being_answered(found.id):
        raise _under_way()
    await _check_room(branches, found.id)
    return found


async def _check_room(branches: Branches, parent_id: UUID | None) -> None:
    if await branches.count_behind(parent_id) >= SIBLINGS:
        raise Conflict(
            f"There are {SIBLINGS} versions of this already, which is as many as there may be. Go on behind one of "
            "them, or begin a new conversation.",
            code="too_many_versions",
        )


def _under_way() -> Conflict:
    return Conflict(
        "The answer is still being made: wait for its end, or stop it, then send this again.",
        code="answer_under_way",
    )
