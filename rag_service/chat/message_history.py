"""LangChain's message history over our conversations, for those who bring chains of their own.

history = await StoredHistory.begin(database, owner="user:42", knowledge_base="default", title="Questions")
chain = RunnableWithMessageHistory(
    my_chain,
    lambda session_id: StoredHistory(database, owner="user:42", conversation_id=UUID(session_id)),
    input_messages_key="question",
    history_messages_key="history",
)
await chain.ainvoke(
    {"question": "…"}, config={"configurable": {"session_id": str(history.conversation_id)}}
)
"""

from collections.abc import Sequence
from uuid import UUID

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag_service.chat.memory import as_said
from rag_service.chat.storable import storable
from rag_service.db.engine import Database
from rag_service.db.repositories.branches import Branches
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import InvalidInput

MESSAGES = 200
"""How many messages of the newest branch are read."""


class StoredHistory(BaseChatMessageHistory):
    """The newest branch of one conversation of one owner. Its methods are asynchronous: use `ainvoke`, `astream`.

    It holds questions and answers. Messages of other kinds, such as those to and from tools, are not stored, nor are
    NULs and halves of surrogate pairs: by then a chain has answered, and a character is not to cost the whole turn.
    """

    def __init__(self, database: Database, owner: str, conversation_id: UUID) -> None:
        self._database = database
        self._owner = owner
        self.conversation_id = conversation_id

    @classmethod
    async def begin(
        cls, database: Database, owner: str, *, knowledge_base: str, title: str
    ) -> "StoredHistory":
        """A new, empty conversation. Raises NotFound where there is no such knowledge base."""
        async with database.transaction() as session:
            base = await KnowledgeBases(session).by_slug(knowledge_base)
            conversation = await Conversations(session, owner).start(base.id, storable(title))
        return cls(database, owner, conversation.id)

    async def aget_messages(self) -> list[BaseMessage]:
        """The newest branch, oldest message first. Raises NotFound: no such conversation of this owner's."""
        async with self._database.transaction() as session:
            branches = Branches(session, await Conversations(session, self._owner).get(self.conversation_id))
            leaf = await branches.leaf()
            path = await branches.path(leaf, limit=MESSAGES) if leaf else []
        return as_said([message for message in path if message.content])

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add questions and answers behind the newest message.

        Raises:
            NotFound: no such conversation of this owner's.
            InvalidInput: an answer comes without a question before it.
        """
        async with self._database.transaction() as session:
            conversations = Conversations(session, self._owner)
            conversation = await conversations.get(self.conversation_id, keep=True)
            branches = Branches(session, conversation)
            leaf = await branches.leaf()
            last = await branches.find(leaf) if leaf else None
            for message in messages:
                text = storable(message.text)
                if not isinstance(message, HumanMessage | AIMessage) or not text:
                    continue
                if isinstance(message, HumanMessage):
                    # One that was never answered is worded anew by the next: both follow the same answer.
                    parent = last.parent_id if last and last.role == "user" else last.id if last else None
                    last = await conversations.add_message(conversation, "user", text, parent)
                elif last is None or last.role != "user":
                    raise InvalidInput("An answer needs a question before it; add the question first.")
                else:
                    last = await conversations.add_message(conversation, "assistant", text, last.id)

    async def aclear(self) -> None:
        """Remove all messages of the conversation. Raises NotFound."""
        async with self._database.transaction() as session:
            conversations = Conversations(session, self._owner)
            await conversations.empty(await conversations.get(self.conversation_id, keep=True))

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """Not to be had without waiting for the database. Raises NotImplementedError."""
        raise NotImplementedError("use `await aget_messages()`, and chains by `ainvoke` or `astream`")

    def clear(self) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("use `await aclear()`")
