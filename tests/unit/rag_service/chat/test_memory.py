"""Conversation memory: which turns a question is asked after."""

from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from rag_service.chat.memory import transcript, turns_told, window
from rag_service.db.models import Message, Role


def conversation(*turns: tuple[str, str]) -> list[Message]:
    """Messages as they are stored: each answer under its question, each question under the answer before."""
    messages: list[Message] = []

    def add(role: Role, content: str) -> None:
        parent: UUID | None = messages[-1].id if messages else None
        messages.append(Message(id=uuid4(), parent_id=parent, role=role, content=content))

    for question, answer in turns:
        add("user", question)
        add("assistant", answer)
    return messages


def length(text: str) -> int:
    return len(text)


def kept(messages: list[Message], budget: int) -> list[str]:
    return [message.text for message in window(messages, length, budget)]


TURNS = conversation(("q1", "a1"), ("q2", "a2"), ("q3", "a3"))


def test_all_turns_that_fit_are_kept_oldest_first() -> None:
    remembered = window(TURNS, length, 100)
    assert [message.text for message in remembered] == ["q1", "a1", "q2", "a2", "q3", "a3"]
    assert [type(message) for message in remembered] == [HumanMessage, AIMessage] * 3


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (12, ["q1", "a1", "q2", "a2", "q3", "a3"]),
        (11, ["q2", "a2", "q3", "a3"]),
        (8, ["q2", "a2", "q3", "a3"]),
        (7, ["q3", "a3"]),
        (4, ["q3", "a3"]),
        (3, []),
        (0, []),
    ],
)
def test_the_newest_turns_are_kept_whole_within_the_budget(budget: int, expected: list[str]) -> None:
    assert kept(TURNS, budget) == expected


def test_a_turn_that_is_too_long_hides_those_before_it() -> None:
    messages = conversation(("q1", "a1"), ("q2", "a" * 50), ("q3", "a3"))
    assert kept(messages, 20) == ["q3", "a3"]


def test_a_question_whose_answer_never_came_is_left_out() -> None:
    messages = conversation(("q1", "a1"), ("q2", ""), ("q3", "a3"), ("q4", ""))
    assert kept(messages, 100) == ["q1", "a1", "q3", "a3"]


def test_an_answer_whose_question_is_further_back_than_was_loaded_is_left_out() -> None:
    assert kept(TURNS[1:], 100) == ["q2", "a2", "q3", "a3"]
    assert kept(TURNS[1:2], 100) == []


def test_no_messages_make_no_memory() -> None:
    assert kept([], 100) == []


@pytest.mark.parametrize("unanswered", range(16))
@pytest.mark.parametrize("budget", [0, 3, 6, 9, 100])
def test_questions_and_answers_always_alternate(unanswered: int, budget: int) -> None:
    messages = conversation(*((f"q{n}", "" if unanswered >> n & 1 else f"a{n}") for n in range(4)))
    remembered = window(messages, length, budget)
    assert all(type(one) is not type(other) for one, other in pairwise(remembered))
    assert not remembered or isinstance(remembered[0], HumanMessage)
    assert not remembered or isinstance(remembered[-1], AIMessage)
    assert sum(len(message.text) for message in remembered) <= budget


def test_of_a_conversation_that_the_caller_keeps_only_whole_turns_count() -> None:
    told = [AIMessage("hello"), HumanMessage("q1"), AIMessage("a1"), AIMessage("more"), HumanMessage("q2")]
    told += [HumanMessage("q3"), AIMessage(""), AIMessage("a3"), HumanMessage(" "), HumanMessage("q4")]
    assert [message.text for message in turns_told(told, length, 100)] == ["q1", "a1", "q3", "a3"]
    assert [message.text for message in turns_told(told, length, 5)] == ["q3", "a3"]


def test_what_cannot_fit_is_not_even_counted() -> None:
    def counted(text: str) -> int:
        assert len(text) < 1000
        return len(text)

    told = [HumanMessage("q" * 1_000_000), AIMessage("a1"), HumanMessage("q2"), AIMessage("a2")]
    assert [message.text for message in turns_told(told, counted, 10)] == ["q2", "a2"]


def test_a_transcript_says_who_said_what() -> None:
    assert transcript(window(TURNS, length, 4)) == "User: q3\nAssistant: a3"
    assert transcript([]) == ""
