"""What a caller asks, and how it is entered: the question, and an answer that is still empty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from langchain_core.messages import BaseMessage
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.chat.branches import NEWEST, Parent, parent_of, question_of
from rag_service.chat.titles import first_title
from rag_service.db.engine import Database
from rag_service.db.models import Channel, Conversation, KnowledgeBase, StoredRun, new_id
from rag_service.db.repositories.branches import Branches
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.db.repositories.first_turns import enter_first_turn
from rag_service.db.repositories.knowledge_bases import KnowledgeBases, look_up_asked
from rag_service.db.repositories.runs import Runs
from rag_service.errors import InvalidInput


@dataclass(frozen=True)
class Ask:
    """A question; without one, that of `regenerate_message_id` is to be answered anew, beside the answers it has.

    `history` is what was said before where the caller keeps the conversation: memory is then not looked at.
    `instruction` is what the caller wishes of a generated answer; it cannot undo the answer prompt.
    """

    question: str | None
    conversation_id: UUID | None = None
    parent_message_id: Parent = NEWEST
    regenerate_message_id: UUID | None = None
    knowledge_base: str | None = None
    filters: Filters = NO_FILTERS
    trace: bool = False
    channel: Channel = "chat"
    history: Sequence[BaseMessage] | None = None
    instruction: str = ""

    @property
    def is_first(self) -> bool:
        """Whether it begins a conversation."""
        return self.conversation_id is None

    @property
    def stands_alone(self) -> bool:
        """Whether nothing was said before it that could word it otherwise."""
        return self.is_first and not self.history

    def check(self) -> None:
        """Raises InvalidInput where it names a message, and no conversation that this could be of."""
        if self.is_first and (self.regenerate_message_id or isinstance(self.parent_message_id, UUID)):
            raise InvalidInput(
                "A message to follow or to answer anew needs the conversation_id of its conversation."
            )


@dataclass(frozen=True)
class Entered:
    """A question as it is in the database, the answer to come, and the run that is to make it."""

    run_id: UUID
    knowledge_base: KnowledgeBase
    conversation_id: UUID
    answer_id: UUID
    question: str


HasPlace = Callable[[KnowledgeBase], None]
"""Called with the knowledge base of a first question once that is found."""


async def enter_first(
    database: Database, owner: str, ask: Ask, *, replica: str, has_place: HasPlace
) -> Entered:
    """Enter the first question of a conversation.

    Raises:
        NotFound: no such knowledge base.
        DatabaseUnavailable
    """
    base = await look_up_asked(database, ask.knowledge_base)
    has_place(base)
    question = ask.question or ""
    turn = await enter_first_turn(
        database,
        owner=owner,
        knowledge_base_id=base.id,
        title=first_title(question),
        channel=ask.channel,
        question=question,
        replica=replica,
    )
    return Entered(turn.run_id, base, turn.conversation_id, turn.answer_id, question)


async def enter(session: AsyncSession, owner: str, ask: Ask, *, replica: str, has_place: HasPlace) -> Entered:
    """Enter what is asked, with all else that the transaction does.

    Raises:
        NotFound: no such knowledge base, or no such conversation of this owner's.
        InvalidInput: the parent is not an answer of the conversation, or the knowledge base not the conversation's.
        Conflict: the parent is still being made.
    """
    conversations = Conversations(session, owner)
    base, conversation = await _place(conversations, KnowledgeBases(session), ask, has_place)
    branches = Branches(session, conversation)
    if ask.question is None:
        question = await question_of(branches, ask.regenerate_message_id)
        answer = await conversations.add_answer(conversation, question)
    else:
        parent = None if ask.is_first else await parent_of(branches, ask.parent_message_id)
        question, answer = await conversations.add_turn(conversation, ask.question, parent)
    run_id = new_id()
    Runs(session).add(
        StoredRun(
            id=run_id,
            owner=owner,
            conversation_id=conversation.id,
            message_id=answer.id,
            replica=replica,
        )
    )
    return Entered(run_id, base, conversation.id, answer.id, question.content)


async def _place(
    conversations: Conversations,
    bases: KnowledgeBases,
    ask: Ask,
    has_place: HasPlace,
) -> tuple[KnowledgeBase, Conversation]:
    """The conversation that is gone on with, or begun, and its knowledge base."""
    if ask.conversation_id is None:
        base = await bases.asked(ask.knowledge_base)
        has_place(base)
        return base, await conversations.start(base.id, first_title(ask.question or ""), ask.channel)
    conversation = await conversations.get(ask.conversation_id, keep=True)
    mine = conversation.knowledge_base_id
    base = await (bases.by_slug(ask.knowledge_base) if ask.knowledge_base else bases.get(mine))
    if base.id != mine:
        raise InvalidInput("The conversation is about another knowledge base; start a new one.")
    return base, conversation
