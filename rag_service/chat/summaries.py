"""Rolling summaries: turns that no longer fit in memory are folded into a few sentences, after an answer has ended."""

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from rag_service.chat.background import Background, charge
from rag_service.chat.llm import ChatModel, Completion
from rag_service.chat.memory import WINDOW_MESSAGES, Count, as_said, inert, split, transcript
from rag_service.chat.prompts import Prompt
from rag_service.chat.turn import Turn
from rag_service.db.engine import Database
from rag_service.db.models import Message, Summary
from rag_service.db.repositories.branches import Branches
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.summaries import Summaries
from rag_service.errors import RagError

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""How many summaries are made at a time; those beyond wait."""

PATH_MESSAGES = 400
LONGEST = 4000
"""Characters of a message that are read for a summary."""


class Summariser:
    """Makes summaries in tasks of its own: no answer waits for one, and one that is lost is made after a later answer.

    Without a model it does nothing.
    """

    def __init__(
        self, database: Database, model: ChatModel | None, prompt: Prompt, budget: int, frame: int
    ) -> None:
        """`budget` is how many tokens a question's memory has, `frame` how many stand around a summary in it. Neither
        these nor the summary itself may take more than a quarter: where they would, there are none."""
        self._database = database
        self._model = model
        self._prompt = prompt
        self._budget = budget
        self._frame = frame
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._background = Background()

    def after(self, turn: Turn) -> None:
        """Have it seen to, soon, that what leads to this turn's answer fits in memory. Returns at once."""
        if self._model is None or self._frame > self._budget // 4:
            return
        self._background.begin(self._tend(self._model, turn))

    async def _tend(self, model: ChatModel, turn: Turn) -> None:
        try:
            async with self._slots:
                await self._fold(model, turn)
        except (RagError, SQLAlchemyError) as error:
            logger.info("a summary is left for later", extra={"reason": type(error).__name__})

    async def _fold(self, model: ChatModel, turn: Turn) -> None:
        async with self._database.transaction() as session:
            conversation = await Conversations(session, turn.owner).get(turn.conversation_id)
            path = await Branches(session, conversation).path(turn.message_id, limit=PATH_MESSAGES)
            base = await Summaries(session, turn.owner).newest_before(turn.message_id)
        messages = self._to_fold(path, base, model.tokens.count)
        if not messages:
            return
        said = [Message(role=one.role, content=one.content[:LONGEST]) for one in messages]
        asked = self._prompt.message(
            summary=inert(base.text) if base else "", turns=transcript(as_said(said))
        )
        asking = Completion("summarise")
        try:
            said_short = await model.complete([asked], asking)
        finally:
            await charge(self._database, turn, asking.calls)
        text = self._short(said_short.strip(), model.tokens.count)
        made = Summary(
            conversation_id=turn.conversation_id,
            message_id=messages[-1].id,
            text=text,
            model=model.name,
            prompt=self._prompt.mark,
            tokens=model.tokens.count(text),
        )
        async with self._database.transaction() as session:
            await Conversations(session, turn.owner).get(turn.conversation_id, keep=True)
            await Summaries(session, turn.owner).add(made, base, messages)

    def _to_fold(self, path: Sequence[Message], base: Summary | None, count: Count) -> list[Message]:
        """The turns behind the last summary that are to go into the next; none while all of them fit in memory.

        Half of memory is kept as it was said, so that the next summary is due only when as much again was.
        """
        known = [at for at, message in enumerate(path, 1) if base and message.id == base.message_id]
        new = path[known[0] :] if known else path
        room = self._budget - (base.tokens + self._frame if base else 0)
        older, fitting = split(new, count, room)
        if not older and len(fitting) <= WINDOW_MESSAGES:
            return []
        usable = [*older, *fitting]
        _, recent = split(usable[-WINDOW_MESSAGES // 2 :], count, room // 2)
        folded: list[Message] = []
        spent = 0
        for message in usable[: len(usable) - len(recent)]:
            spent += count(message.content[:LONGEST])
            if message.role == "user" and folded and spent > 2 * self._budget:
                break  # the rest with the next
            folded.append(message)
        return folded

    def _short(self, text: str, count: Count) -> str:
        while count(text) > self._budget // 4 and text:
            text = text[: len(text) * 3 // 4].rstrip()
        return text

    async def close(self) -> None:
        """Leave for later what is not made yet."""
        await self._background.close()
