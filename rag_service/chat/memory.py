"""Conversation memory: the turns that a question follows on from, the newest as they were said, older ones in short."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag_service.db.engine import Database
from rag_service.db.models import Message
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.summaries import Summaries

WINDOW_MESSAGES = 40
"""How many messages are looked at; the token budget then decides how many are used."""

LONGEST_TOKEN = 64
"""Characters of a token at most, but for white space: a text that cannot fit is not counted, however long it is."""

Count = Callable[[str], int]
"""The tokens of a text."""

_TAG = re.compile(r"<(?=/?(?:conversation|summary|earlier)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Remembered:
    """What is known of the turns before a question: the newest, oldest first, and a summary of those before them."""

    turns: Sequence[BaseMessage]
    summary: str = ""


@dataclass(frozen=True)
class Memory:
    """What questions follow on from, within `budget` tokens. `frame` are those that stand around a summary."""

    database: Database
    count: Count
    budget: int
    frame: int = 0

    async def before(self, owner: str, answer_id: UUID) -> Remembered:
        """What is remembered for an answer that is about to be made: what stands on its own branch, nothing else.

        The newest summary on the branch is used where the newest turns are not all there is.
        """
        async with self.database.transaction() as session:
            path = await Conversations(session, owner).leading_to(answer_id, newest=WINDOW_MESSAGES + 1)
            messages = path[:-1]  # the last is the question itself
            older, _ = split(messages, self.count, self.budget)
            if not older and not (messages and messages[0].parent_id):
                return Remembered(window(messages, self.count, self.budget))
            summary = await Summaries(session, owner).newest_before(answer_id)
        if summary is None:
            return Remembered(window(messages, self.count, self.budget))
        left = self.budget - summary.tokens - self.frame
        return Remembered(window(messages, self.count, left), summary.text)


def split(messages: Sequence[Message], count: Count, budget: int) -> tuple[list[Message], list[Message]]:
    """The messages in two: older ones, and the newest turns that fit in `budget` tokens, both oldest first.

    A question whose answer never came is left out, so that questions and answers alternate.
    """
    answered = {message.parent_id for message in messages if message.role == "assistant" and message.content}
    usable = [one for one in messages if (one.id in answered if one.role == "user" else one.content)]
    at, spent = len(usable), 0
    while at and (spent := spent + count(usable[at - 1].content)) <= budget:
        at -= 1
    while at < len(usable) and usable[at].role == "assistant":
        at += 1  # an answer whose question did not fit
    return usable[:at], usable[at:]


def window(messages: Sequence[Message], count: Count, budget: int) -> list[BaseMessage]:
    """The newest turns that fit in `budget` tokens, oldest first."""
    return as_said(split(messages, count, budget)[1])


def turns_told(messages: Sequence[BaseMessage], count: Count, budget: int) -> list[BaseMessage]:
    """The same of a conversation that the caller keeps: a turn is a question with the answer right behind it, and
    what is no part of one is left out."""
    said = [message for message in messages if message.text.strip()][-WINDOW_MESSAGES:]
    kept: list[BaseMessage] = []
    for question, answer in reversed(list(pairwise(said))):
        if not isinstance(question, HumanMessage) or not isinstance(answer, AIMessage):
            continue
        if len(question.text) + len(answer.text) > budget * LONGEST_TOKEN:
            break
        budget -= count(question.text) + count(answer.text)
        if budget < 0:
            break
        kept = [question, answer, *kept]
    return kept


def as_said(messages: Sequence[Message]) -> list[BaseMessage]:
    """Stored messages as LangChain has them."""
    return [
        HumanMessage(message.content) if message.role == "user" else AIMessage(message.content)
        for message in messages
    ]


def transcript(history: Sequence[BaseMessage], summary: str = "") -> str:
    """The turns as lines of text, for a prompt; what was said before them comes first."""
    lines = [f"Earlier, in short: {summary}"] if summary else []
    for message in history:
        lines.append(f"{'User' if isinstance(message, HumanMessage) else 'Assistant'}: {message.text}")
    return inert("\n".join(lines))


def inert(text: str) -> str:
    """Text that cannot close the tags it is put between in a prompt."""
    return _TAG.sub("(", text)
