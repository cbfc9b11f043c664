"""Conversation memory: the turns that a question follows on from."""

from collections.abc import Callable, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag_service.db.models import Message

WINDOW_MESSAGES = 40
"""How many messages are looked at; the token budget then decides how many are used."""


def window(messages: Sequence[Message], count: Callable[[str], int], budget: int) -> list[BaseMessage]:
    """The newest turns that fit in `budget` tokens, oldest first.

    A question whose answer never came is left out, so that questions and answers alternate.
    """
    kept: list[BaseMessage] = []
    spent = 0
    answered = {message.parent_id for message in messages if message.role == "assistant" and message.content}
    for message in reversed(messages):
        usable = message.id in answered if message.role == "user" else bool(message.content)
        if not usable:
            continue
        spent += count(message.content)
        if spent > budget:
            break
        kept.append(HumanMessage(message.content) if message.role == "user" else AIMessage(message.content))
    while kept and isinstance(kept[-1], AIMessage):
        kept.pop()  # an answer whose question did not fit
    return kept[::-1]


def transcript(history: Sequence[BaseMessage]) -> str:
    """The turns as lines of text, for a prompt."""
    return "\n".join(
        f"{'User' if isinstance(message, HumanMessage) else 'Assistant'}: {message.text}"
        for message in history
    )
