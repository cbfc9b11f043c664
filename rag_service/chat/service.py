"""A turn of a conversation: begun, streamed, saved, whatever happens on the way."""

import logging
from dataclasses import replace
from uuid import UUID

from rag_service.auth.principal import Principal
from rag_service.chat.asking import Ask, Entered, HasPlace, enter, enter_first
from rag_service.chat.chains import Answering
from rag_service.chat.errands import Errands
from rag_service.chat.expansion import load_expansion
from rag_service.chat.live import LiveRuns
from rag_service.chat.llm import ChatModel
from rag_service.chat.memory import Memory, Remembered, turns_told
from rag_service.chat.prompts import load_answer_prompts, load_prompt
from rag_service.chat.retold import retold
from rag_service.chat.runs import Run
from rag_service.chat.summaries import Summariser
from rag_service.chat.titles import Titles
from rag_service.chat.turn import Begun, Record, Turn
from rag_service.chat.usage import Spend
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.idempotency import Answer, Once
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.errors import InvalidInput, NotFound
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.retriever import Retriever
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
        self.errands = Errands(model)
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
        self, principal: Principal, ask: Ask, *, spend: Spend, once: Once | None = None, said: str = ""
    ) -> Run:
        """Save what is asked and set the answer going. `once` is the key of a request that may be sent again, and
        `said` all that it asks for. `spend` counts what models use behind the answer, for a title or a summary.

        Raises:
            Repeated: the same was asked under this key before; `again` gives its run.
            Unavailable: this process is about to end.
            InvalidInput: the key came with another request.
            What `enter` raises.
        """
        self.runs.check_open()
        ask.check()
        # A first question is searched for while it is entered, and its vector made before that.
        if ask.question is not None and ask.is_first:
            self._retriever.expect(ask.question)
        searching: Begun | None = None

        def search(base: KnowledgeBase) -> None:
            nonlocal searching
            if ask.question is not None and ask.stands_alone:
                searching = self._answering.search_ahead(ask.question, base, ask.filters)

        entered = await self._entered(
            principal.subject, ask, once or Once(principal.subject, None), said, search
        )
        turn = self._turn(principal.subject, ask, entered, spend)
        return await self.runs.start(entered.run_id, replace(turn, searching=searching))

    async def _entered(self, owner: str, ask: Ask, once: Once, said: str, has_place: HasPlace) -> Entered:
        replica = self.runs.replica
        if ask.question is not None and ask.is_first and once.key is None:
            return await enter_first(self._database, owner, ask, replica=replica, has_place=has_place)
        async with self._database.transaction() as session:
            await once.claim(session, said)
            entered = await enter(session, owner, ask, replica=replica, has_place=has_place)
            await once.keep(session, {"run_id": str(entered.run_id), "message_id": str(entered.answer_id)})
        return entered

    def _turn(self, owner: str, ask: Ask, entered: Entered, spend: Spend) -> Turn:
        base = entered.knowledge_base
        return Turn(
            message_id=entered.answer_id,
            conversation_id=entered.conversation_id,
            knowledge_base_id=base.id,
            owner=owner,
            question=entered.question,
            record=Record(),
            refusal_score=self._refusal_score if base.refusal_score is None else base.refusal_score,
            spend=spend,
            prompt=base.prompt,
            filters=ask.filters,
            trace=ask.trace,
            # Nothing was said before the first question: memory need not be looked at for it.
            told=() if ask.history is None and ask.is_first else ask.history,
            instruction=ask.instruction,
        )

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
        self._summaries.after(turn)
        if self._titles is not None:
            self._titles.after(turn)

    async def close(self) -> None:
        """Leave summaries that are not made yet for later, and titles."""
        await self._summaries.close()
        if self._titles is not None:
            await self._titles.close()
