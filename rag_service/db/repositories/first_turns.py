"""A conversation's first question: all that begins with it is entered by one statement, at a fifth of what a session
takes for the same rows."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, Insert, Text, Uuid, bindparam, insert, literal_column, select

from rag_service.db.engine import Database
from rag_service.db.models import Channel, Conversation, Message, StoredRun, new_id
from rag_service.db.plain import PlainInsert


class FirstTurn(NamedTuple):
    """The ids of what was entered; the answer is in state `streaming`."""

    run_id: UUID
    conversation_id: UUID
    answer_id: UUID


async def enter_first_turn(
    database: Database,
    *,
    owner: str,
    knowledge_base_id: UUID,
    title: str,
    channel: Channel,
    question: str,
    replica: str,
) -> FirstTurn:
    """Enter a new conversation, its first question, the answer to come, and its run: all of it or nothing.

    Raises DatabaseUnavailable, DatabaseFull.
    """
    conversation_id, question_id, answer_id, run_id = new_id(), new_id(), new_id(), new_id()
    await database.rows(
        _FIRST_TURN,
        conversation_id=conversation_id,
        question_id=question_id,
        answer_id=answer_id,
        run_id=run_id,
        owner=owner,
        knowledge_base_id=knowledge_base_id,
        title=title,
        channel=channel,
        question=question,
        replica=replica,
    )
    return FirstTurn(run_id, conversation_id, answer_id)


def _id(name: str) -> BindParameter[UUID]:
    return bindparam(name, type_=Uuid)


def _text(name: str) -> BindParameter[str]:
    return bindparam(name, type_=Text)


def _message(role: str, state: str, content: object, *, id: str, parent_id: str | None) -> Insert:
    empty: Any = literal_column("'[]'::jsonb")
    nothing: Any = literal_column("'{}'::jsonb")
    return insert(Message).values(
        id=_id(id),
        conversation_id=_id("conversation_id"),
        parent_id=_id(parent_id) if parent_id else None,
        role=literal_column(f"'{role}'"),
        state=literal_column(f"'{state}'"),
        content=content,
        sources=empty,
        citations=empty,
        prompts=empty,
        usage=nothing,
        timings=nothing,
        degraded=False,
    )


_CONVERSATION = insert(Conversation).values(
    id=_id("conversation_id"),
    owner=_text("owner"),
    knowledge_base_id=_id("knowledge_base_id"),
    title=_text("title"),
    channel=_text("channel"),
)
_QUESTION = _message("user", "complete", _text("question"), id="question_id", parent_id=None)
_ANSWER = _message("assistant", "streaming", literal_column("''"), id="answer_id", parent_id="question_id")
_RUN = insert(StoredRun).values(
    id=_id("run_id"),
    owner=_text("owner"),
    conversation_id=_id("conversation_id"),
    message_id=_id("answer_id"),
    replica=_text("replica"),
    stop_requested=False,
)
# References are checked at the end of the statement, when all of it is there.
_FIRST_TURN = PlainInsert(
    select(literal_column("1")).add_cte(
        _CONVERSATION.cte("conversation"), _QUESTION.cte("question"), _ANSWER.cte("answer"), _RUN.cte("run")
    )
)
