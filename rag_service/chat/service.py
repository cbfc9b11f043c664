"""A turn of a conversation: begun, streamed, saved, whatever happens on the way."""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from langchain_core.messages import BaseMessage

from rag_service.auth.principal import Principal
from rag_service.chat.branches import NEWEST, Parent, parent_of, question_of
from rag_service.chat.chains import Answering
from rag_service.chat.expansion import load_expansion
from rag_service.chat.live import LiveRuns
from rag_service.chat.llm import ChatModel
from rag_service.chat.memory import Memory, Remembered, turns_told
from rag_service.chat.prompts import load_answer_prompts, load_prompt
from rag_service.chat.retold import retold
from rag_service.chat.runs import Run
from rag_service.chat.summaries import Summariser
from rag_service.chat.titles import Titles, first_title
from rag_service.chat.turn import Record, Turn
from rag_service.db.engine import Database
from rag_service.db.models import Channel, Conversation, KnowledgeBase, StoredRun, new_id
from rag_service.db.repositories.branches import Branches
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.db.repositories.idempotency import Answer, Once
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.runs import Runs
from rag_service.errors import InvalidInput, NotFound
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.retriever import Retrieval, Retriever
from rag_service.knowledge.tokens import estimate_tokens
from rag_service.settings import Settings

logger = logging.getLogger(__name__)


class ChatService:
    """Starts turns and keeps their memory."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        retriever: Retriever,
        embedder: Embedder,
        model: ChatModel | None,
    ) -> None:
        self._database = database
        self._retriever = retriever
        count = model.tokens.count if model else estimate_tokens
        prompts = {
            name: load_prompt(settings.prompts_dir, name)
            for name in ("question", "condense", "earlier", "instruction", "summarise")
        }
        frame = count(prompts["earlier"].message(summary="").text)
        self._memory = Memory(database, count, settings.history_tokens, frame)
        self._summaries = Summariser(database, model, prompts["summarise"], settings.history_tokens, frame)
        self._titles: Titles | None = None
        if model is not None and settings.model_titles:
            self._titles = Titles(database, model, load_prompt(settings.prompts_dir, "title"))
        self._refusal_score = settings.refusal_score
        answer_prompts = load_answer_prompts(settings.prompts_dir)
        self._prompt_names = list(answer_prompts)
        self._answering = answering = Answering(
            retriever=retriever,
            embedder=embedder,
            model=model,
            prompts=prompts,
            answer_prompts=answer_prompts,
            retrieve_chunks=settings.retrieve_chunks,
            context_tokens=settings.context_tokens,
            load_history=self._remembered,
            expansion=load_expansion(settings, model),
        )
        self.runs = LiveRuns(
            database,
            answering.events,
            completed=self._completed,
            grace=settings.run_grace_seconds,
            keep_quotes=settings.keep_quotes,
        )

    def check_prompt(self, name: str) -> None:
        """Raises InvalidInput where there is no answer prompt of that name."""
        if name not in self._prompt_names:
            raise InvalidInput(
                f"There is no answer prompt called {name!r}. Those that exist: {', '.join(self._prompt_names)}.",
                code="unknown_prompt",
            )

    async def begin(
        self,
        principal: Principal,
        question: str | None,
        *,
        conversation_id: UUID | None = None,
        parent_message_id: Parent = NEWEST,
        regenerate_message_id: UUID | None = None,
        knowledge_base: str | None = None,
        filters: Filters = NO_FILTERS,
        trace: bool = False,
        once: Once | None = None,
        said: str = "",
        channel: Channel = "chat",
        history: Sequence[BaseMessage] | None = None,
        instruction: str = "",
    ) -> Run:
        """Save the question and set the answer going; without a question, that of `regenerate_message_id` is answered
        anew, beside the answers it has. `once` is the key of a request that may be sent again, and `said` all that it
        asks for.

        `history` is what was said before where the caller keeps the conversation: memory is then not looked at.
        `instruction` is what the caller wishes of a generated answer; it cannot undo the answer prompt.

        Raises:
            Repeated: the same was asked under this key before; `again` gives its run.
            Unavailable: this process is about to end.
            NotFound: no such knowledge base, or no such conversation of this caller's.
            InvalidInput: the parent is not an answer of the conversation, or the knowledge base not the
                conversation's, or the key came with another request.
            Conflict: the parent is still being made.
        """
        self.runs.check_open()
        if conversation_id is None and (regenerate_message_id or isinstance(parent_message_id, UUID)):
            raise InvalidInput(
                "A message to follow or to answer anew needs the conversation_id of its conversation."
            )
        if question is not None and conversation_id is None:
            self._retriever.expect(
                question
            )  # while it is entered; nothing was said before that could reword it
        searching: asyncio.Task[Retrieval] | None = None
        run_id = new_id()
        once = once or Once(principal.subject, None)
        async with self._database.transaction() as session:
            await once.claim(session, said)
            conversations, bases = Conversations(session, principal.subject), KnowledgeBases(session)
            if conversation_id is None:
                found = await bases.asked(knowledge_base)
                if question is not None and not history:
                    searching = self._answering.search_ahead(question, found, filters)
                conversation = await conversations.start(found.id, first_title(question or ""), channel)
            else:
                conversation = await conversations.get(conversation_id, keep=True)
                found = await _base_of(conversation, bases, knowledge_base)
            branches = Branches(session, conversation)
            if question is None:
                asked = await question_of(branches, regenerate_message_id)
                answer = await conversations.add_answer(conversation, asked)
            else:
                parent = await parent_of(branches, parent_message_id)
                asked, answer = await conversations.add_turn(conversation, question, parent)
            Runs(session).add(
                StoredRun(
                    id=run_id,
                    owner=principal.subject,
                    conversation_id=conversation.id,
                    message_id=answer.id,
                    replica=self.runs.replica,
                )
            )
            await once.keep(session, {"run_id": str(run_id), "message_id": str(answer.id)})
        turn = Turn(
            message_id=answer.id,
            conversation_id=conversation.id,
            knowledge_base_id=conversation.knowledge_base_id,
            owner=principal.subject,
            question=asked.content,
            record=Record(),
            refusal_score=self._refusal_score if found.refusal_score is None else found.refusal_score,
            prompt=found.prompt,
            filters=filters,
            trace=trace,
            # Nothing was said before the first question: memory need not be looked at for it.
            told=() if history is None and conversation_id is None else history,
            instruction=instruction,
            searching=searching,
        )
        return await self.runs.start(run_id, turn)

    async def again(self, principal: Principal, begun: Answer) -> Run:
        """The run of a request that was sent again; from what was saved, where the run itself is forgotten.

        Raises:
            NotFound: its conversation was deleted.
        """
        try:
            return await self.runs.follow(principal.subject, UUID(begun["run_id"]))
        except NotFound:
            async with self._database.transaction() as session:
                message = await Conversations(session, principal.subject).message(UUID(begun["message_id"]))
        return retold(UUID(begun["run_id"]), message)

    async def askable(self) -> list[KnowledgeBase]:
        """The knowledge bases that the caller may ask, by slug."""
        async with self._database.transaction() as session:
            rows = await KnowledgeBases(session).all_with_counts()
        return [found for found, _ in rows]

    def count_tokens(self, text: str) -> int:
        """Tokens of a text as the language model counts them, or an upper estimate."""
        return self._memory.count(text)

    async def _remembered(self, turn: Turn) -> Remembered:
        if turn.told is not None:
            return Remembered(turns_told(turn.told, self._memory.count, self._memory.budget))
        return await self._memory.before(turn.owner, turn.message_id)

    def _completed(self, turn: Turn) -> None:
        self._summaries.after(turn.owner, turn.conversation_id, turn.message_id)
        if self._titles is not None:
            self._titles.after(turn)

    async def close(self) -> None:
        """Leave summaries that are not made yet for later, and titles."""
        await self._summaries.close()
        if self._titles is not None:
            await self._titles.close()


async def _base_of(conversation: Conversation, bases: KnowledgeBases, wanted: str | None) -> KnowledgeBase:
    """The knowledge base of a conversation. Raises InvalidInput where another one is wanted."""
    mine = conversation.knowledge_base_id
    found = await (bases.by_slug(wanted) if wanted else bases.get(mine))
    if found.id != mine:
        raise InvalidInput("The conversation is about another knowledge base; start a new one.")
    return found
