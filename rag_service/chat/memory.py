"""Conversation memory: the turns that a question follows on from."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag_service.db.models import Message

WINDOW_MESSAGES = 40
"""How many messages are looked at; the token budget then decides how many are used."""

LONGEST_TOKEN = 64
"""Characters of a token at most, but for white space: a text that cannot fit is not counted, however long it is."""


def window(messages: Sequence[Message], count: Callable[[str], int], budget: int) -> list[BaseMessage]:
    """The newest turns that fit in `budget` tokens, oldest first.

    A question whose answer never came is left out, so that questions and answers alternate.
    """
    answered = {message.parent_id for message in messages if message.role == "assistant" and message.content}
    usable = [
        HumanMessage(message.content) if message.role == "user" else AIMessage(message.content)
        for message in messages
        if (message.id in answered if message.role == "user" else message.content)
    ]
    return _newest(usable, count, budget)


def turns_told(
    messages: Sequence[BaseMessage], count: Callable[[str], int], budget: int
) -> list[BaseMessage]:
    """The same of a conversation that the caller keeps: a turn is a question with the answer right behind it, and
    what is no part of one is left out."""
    said = [message for message in messages if message.text.strip()][-WINDOW_MESSAGES:]
    turns = [
        turn
        for turn in pairwise(said)
        if isinstance(turn[0], HumanMessage) and isinstance(turn[1], AIMessage)
    ]
    return _newest([message for turn in turns for message in turn], count, budget)


def _newest(messages: Sequence[BaseMessage], count: Callable[[str], int], budget: int) -> list[BaseMessage]:
    kept: list[BaseMessage] = []
    spent = 0
    for message in reversed(messages):
        if len(message.text) > budget * LONGEST_TOKEN:
            break
        spent += count(message.text)
        if spent > budget:
            break
        kept.append(message)
    while kept and isinstance(kept[-1], AIMessage):
        kept.pop()  # an answer whose question did not fit
    return kept[::-1]


def transcript(history: Sequence[BaseMessage]) -> str:
    """The turns as lines of text, for a prompt."""
    return "\n".join(
        f"{'User' if isinstance(message, HumanMessage) else 'Assistant'}: {message.text}"
        for message in history
    )
