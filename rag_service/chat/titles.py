"""Titles of conversations: the first question, and where that is long, soon after its answer, a model's few words."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from rag_service.chat.background import Background, charge
from rag_service.chat.llm import ChatModel, Completion
from rag_service.chat.memory import inert
from rag_service.chat.prompts import Prompt
from rag_service.chat.turn import Turn
from rag_service.db.engine import Database
from rag_service.db.repositories.conversations import Conversations
from rag_service.errors import RagError

logger = logging.getLogger(__name__)

LONGEST = 80
SHORT = 40
"""A question of so many characters is as good a title as any."""
READ = 2000
"""Characters of a question that are read for its title."""
AT_ONCE = 2
MOST = 20
"""How many titles are made or waited for; a conversation beyond them keeps its question."""


def first_title(question: str) -> str:
    """The title of a conversation as long as nobody has given it another."""
    line = " ".join(question.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"


class Titles:
    """Makes titles in tasks of its own, of the question alone: what documents say stays out of them.

    A title that a person gave is never overwritten. Where the model fails, or says more than a title, the question
    stays.
    """

    def __init__(self, database: Database, model: ChatModel, prompt: Prompt) -> None:
        self._database = database
        self._model = model
        self._prompt = prompt
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._background = Background()

    def after(self, turn: Turn) -> None:
        """Have the conversation of a turn named, soon, if the turn began it. Returns at once."""
        if len(first_title(turn.question)) <= SHORT or len(self._background) >= MOST:
            return
        self._background.begin(self._tend(turn))

    async def _tend(self, turn: Turn) -> None:
        try:
            async with self._slots:
                await self._name(turn)
        except (RagError, SQLAlchemyError) as error:
            logger.info("a conversation keeps its question as title", extra={"reason": type(error).__name__})

    async def _name(self, turn: Turn) -> None:
        unnamed = first_title(turn.question)
        async with self._database.transaction() as session:
            conversation = await Conversations(session, turn.owner).get(turn.conversation_id)
        if conversation.title != unnamed or conversation.channel != "chat":
            return
        asking = Completion("title", [])
        try:
            asked = self._prompt.message(question=inert(turn.question[:READ]))
            title = _cleaned(await self._model.complete([asked], asking))
        finally:
            await charge(self._database, turn, asking.calls)
        if title:
            async with self._database.transaction() as session:
                await Conversations(session, turn.owner).name(turn.conversation_id, unnamed, title)

    async def close(self) -> None:
        """Leave conversations that are not named yet with their questions."""
        await self._background.close()


def _cleaned(said: str) -> str:
    """A title as it is shown; empty where it is none."""
    line = "".join(one for one in " ".join(said.split()) if one.isprintable()).strip("\"'“”„«»*# ")
    return line if len(line) <= LONGEST else ""
