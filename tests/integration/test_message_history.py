"""LangChain's message history over our tables, under a chain that is not ours."""

from uuid import UUID, uuid4

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from rag_service.chat.message_history import StoredHistory
from rag_service.db.engine import Database
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import InvalidInput, NotFound
from rag_service.testing.model_server import ModelServer, Reply

OWNER = "user:42"


@pytest.fixture
async def history(database: Database) -> StoredHistory:
    async with database.transaction() as session:
        await KnowledgeBases(session).ensure("default", "Default", "some-model")
    return await StoredHistory.begin(database, OWNER, knowledge_base="default", title="Mine")


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
async def test_a_chain_of_someone_elses_remembers_through_our_tables(
    database: Database, history: StoredHistory, model_server: ModelServer
) -> None:
    def of(session_id: str) -> BaseChatMessageHistory:
        return StoredHistory(database, OWNER, UUID(session_id))

    model = ChatOpenAI(model="m", base_url=model_server.base_url, api_key=SecretStr("none"), max_retries=0)
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])
    chain = RunnableWithMessageHistory(
        prompt | model, of, input_messages_key="question", history_messages_key="history"
    )
    config: RunnableConfig = {"configurable": {"session_id": str(history.conversation_id)}}
    model_server.script(Reply("Basalt {x}."), Reply("Very."))
    await chain.ainvoke({"question": "What is the {moon} made of?"}, config=config)
    await chain.ainvoke({"question": "Is it heavy?"}, config=config)
    assert [message["content"] for message in model_server.requests[-1].json["messages"]] == [
        "What is the {moon} made of?",
        "Basalt {x}.",
        "Is it heavy?",
    ]
    kept = await history.aget_messages()
    assert [type(message) for message in kept] == [HumanMessage, AIMessage] * 2
    assert kept[-1].text == "Very."
    await history.aclear()
    assert await history.aget_messages() == []


async def test_only_turns_are_kept_and_only_for_their_owner(
    database: Database, history: StoredHistory
) -> None:
    with pytest.raises(InvalidInput, match="needs a question"):
        await history.aadd_messages([AIMessage("Hello!")])
    await history.aadd_messages(
        [
            HumanMessage("never answered"),
            HumanMessage("asked"),
            ToolMessage("x", tool_call_id="1"),
            AIMessage("a"),
        ]
    )
    assert [message.text for message in await history.aget_messages()] == ["asked", "a"]
    for other in (
        StoredHistory(database, "user:43", history.conversation_id),
        StoredHistory(database, OWNER, uuid4()),
    ):
        with pytest.raises(NotFound):
            await other.aget_messages()
        with pytest.raises(NotFound):
            await other.aadd_messages([HumanMessage("x")])
        with pytest.raises(NotFound):
            await other.aclear()


async def test_what_cannot_be_stored_costs_no_turn(database: Database, history: StoredHistory) -> None:
    other = await StoredHistory.begin(database, OWNER, knowledge_base="default", title="M\x00ine \udfff")
    for kept in (history, other):
        await kept.aadd_messages(
            [
                HumanMessage("\x00"),
                HumanMessage("Wh\x00at is\ud83d it? 🌕"),
                AIMessage([{"type": "text", "text": "Basalt\udc00\x00."}]),
                HumanMessage("Good\x00"),
            ]
        )
        said = [message.text for message in await kept.aget_messages()]
        assert said == ["What is it? 🌕", "Basalt.", "Good"]
