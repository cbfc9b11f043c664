"""A turn of a conversation: begun, streamed, saved, whatever happens on the way."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from rag_service.auth.principal import Principal
from rag_service.chat.chains import Answering, Record, Turn, rounded
from rag_service.chat.events import TERMINAL, Citation, Done, Event, Failed, Source, Start
from rag_service.chat.llm import ChatModel
from rag_service.chat.memory import WINDOW_MESSAGES, turns_told, window
from rag_service.chat.prompts import load_answer_prompts, load_prompt
from rag_service.db.engine import Database
from rag_service.db.models import Channel, Conversation, KnowledgeBase, Message, MessageState, new_id
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.db.repositories.knowledge_bases import KnowledgeBases, no_such
from rag_service.db.repositories.quotes import Quoted, Quotes
from rag_service.errors import InvalidInput, NotFound, RagError
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.retriever import Retriever
from rag_service.knowledge.tokens import estimate_tokens
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

SAVE_SECONDS = 5.0
"""How long a turn that was cut short may take to be saved."""

TITLE_LENGTH = 80


@dataclass
class Run:
    """A turn under way. It belongs to the server: whoever follows it only reads along."""

    id: UUID
    conversation_id: UUID
    message_id: UUID
    events: list[Event] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    _is_stopping: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, event: Event) -> None:
        self.events.append(event)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self) -> AsyncGenerator[tuple[int, Event], None]:
        """Every event with its number, from the first on; ends behind the terminal one."""
        at = 0
        while True:
            while at < len(self.events):
                event = self.events[at]
                at += 1
                yield at, event
                if isinstance(event, TERMINAL):
                    return
            await self._changed.wait()

    def stop(self) -> None:
        """End the turn where it is; what was said so far is saved as stopped. One that has ended stays as it is."""
        if self.task is not None and not self._is_stopping and not isinstance(self.events[-1], TERMINAL):
            self._is_stopping = True  # a second cancellation would cut the saving short
            self.task.cancel()


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
        self._history_tokens = settings.history_tokens
        self._count = model.tokens.count if model else estimate_tokens
        self._runs: dict[UUID, tuple[Run, str]] = {}
        self._refusal_score = settings.refusal_score
        self._keep_quotes = settings.keep_quotes
        answer_prompts = load_answer_prompts(settings.prompts_dir)
        self._prompt_names = list(answer_prompts)
        self._chain: Runnable[Turn, Event] = Answering(
            retriever=retriever,
            embedder=embedder,
            model=model,
            prompts={
                name: load_prompt(settings.prompts_dir, name)
                for name in ("question", "condense", "instruction")
            },
            answer_prompts=answer_prompts,
            retrieve_chunks=settings.retrieve_chunks,
            context_tokens=settings.context_tokens,
            load_history=self._load_history,
            save=self._save_complete,
        ).chain()

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
        question: str,
        *,
        conversation_id: UUID | None = None,
        parent_message_id: UUID | None = None,
        knowledge_base: str | None = None,
        filters: Filters = NO_FILTERS,
        channel: Channel = "chat",
        history: Sequence[BaseMessage] | None = None,
        instruction: str = "",
    ) -> Run:
        """Save the question and set the answer going.

        `history` is what was said before where the caller keeps the conversation: memory is then not looked at.
        `instruction` is what the caller wishes of a generated answer; it cannot undo the answer prompt.

        Raises:
            NotFound: no such knowledge base, or no such conversation of this caller's.
            InvalidInput: the parent is not a message of the conversation, or the knowledge base not the
                conversation's.
        """
        if parent_message_id is not None and conversation_id is None:
            raise InvalidInput("parent_message_id needs the conversation_id of its conversation.")
        if knowledge_base is not None and not _may_ask(principal, knowledge_base):
            raise no_such(knowledge_base)
        async with self._database.transaction() as session:
            conversations = Conversations(session, principal.subject)
            if conversation_id is None:
                found = await KnowledgeBases(session).by_slug(
                    knowledge_base or principal.knowledge_base or "default"
                )
                conversation = await conversations.start(found.id, _title(question), channel)
                parent = None
            else:
                conversation = await conversations.get(conversation_id)
                bases = KnowledgeBases(session)
                mine = conversation.knowledge_base_id
                found = await (bases.by_slug(knowledge_base) if knowledge_base else bases.get(mine))
                if found.id != mine:
                    raise InvalidInput("The conversation is about another knowledge base; start a new one.")
                parent = await self._parent(conversations, conversation, parent_message_id)
            _, answer = await conversations.add_turn(conversation, question, parent)
        turn = Turn(
            message_id=answer.id,
            conversation_id=conversation.id,
            knowledge_base_id=conversation.knowledge_base_id,
            owner=principal.subject,
            question=question,
            record=Record(),
            refusal_score=self._refusal_score if found.refusal_score is None else found.refusal_score,
            prompt=found.prompt,
            filters=filters,
            told=history,
            instruction=instruction,
        )
        run = Run(new_id(), conversation.id, answer.id)
        run.publish(Start(run.id, conversation.id, answer.id))
        # Kept here too: the event loop itself only holds a task weakly.
        run.task = asyncio.create_task(self._drive(run, turn))
        self._runs[run.id] = (run, principal.subject)
        run.task.add_done_callback(lambda _: self._runs.pop(run.id, None))
        return run

    def stop(self, principal: Principal, run_id: UUID) -> None:
        """Stop a turn of this caller's. Raises NotFound where it is not under way here, or is another's."""
        run, owner = self._runs.get(run_id, (None, None))
        if run is None or owner != principal.subject:
            raise NotFound("There is no such turn under way.", code="run_not_found")
        run.stop()

    @staticmethod
    async def _parent(
        conversations: Conversations, conversation: Conversation, wanted: UUID | None
    ) -> UUID | None:
        messages = await conversations.messages(conversation.id, newest=WINDOW_MESSAGES * 5)
        if wanted is None:
            return messages[-1].id if messages else None
        if wanted not in {message.id for message in messages}:
            raise InvalidInput("parent_message_id is not a message of this conversation.")
        return wanted

    async def _drive(self, run: Run, turn: Turn) -> None:
        """Run the chain to its end. However it ends, the answer is saved and one terminal event published."""
        try:
            async with aclosing(self._events(turn)) as events:
                async for event in events:
                    run.publish(event)
        except asyncio.CancelledError:
            turn.record.finish_reason = "stopped"
            await self._save_short(turn, "stopped", None)
            run.publish(
                Done(
                    run.message_id,
                    "stopped",
                    turn.record.model,
                    turn.record.usage,
                    rounded(turn.record.timings),
                )
            )
        except RagError as error:
            logger.warning("turn failed", extra={"code": error.code, "reason": error.detail})
            await self._save_short(turn, "failed", error.code)
            run.publish(Failed(error.code, error.detail, error.retryable))
        except Exception:
            # A fault of ours: the caller is told so without its text, and the log has all of it.
            logger.exception("turn failed")
            await self._save_short(turn, "failed", RagError.code)
            run.publish(
                Failed(RagError.code, "Something went wrong on our side; it was logged.", retryable=True)
            )

    async def _events(self, turn: Turn) -> AsyncGenerator[Event, None]:
        async for event in self._chain.astream(turn):
            yield event

    async def _load_history(self, turn: Turn) -> Sequence[BaseMessage]:
        if turn.told is not None:
            return turns_told(turn.told, self._count, self._history_tokens)
        async with self._database.transaction() as session:
            messages = await Conversations(session, turn.owner).leading_to(
                turn.message_id, newest=WINDOW_MESSAGES + 1
            )
        return window(messages[:-1], self._count, self._history_tokens)  # the last is the question itself

    async def _save_complete(self, turn: Turn) -> None:
        await self._save(turn, "complete", None)

    async def _save_short(self, turn: Turn, state: MessageState, code: str | None) -> None:
        """Save a turn that was cut short, in a time of its own."""
        turn.record.timings["total"] = turn.record.elapsed()
        try:
            async with asyncio.timeout(SAVE_SECONDS):
                await self._save(turn, state, code)
        except Exception:
            # Whatever it was, the turn's end must still be told. The message stays in state `streaming`, and
            # becomes `interrupted` at the next start.
            logger.exception("a turn could not be saved", extra={"message_id": str(turn.message_id)})

    async def _save(self, turn: Turn, state: MessageState, code: str | None) -> None:
        record = turn.record
        # What quotes documents has to be told by its sources when one is erased, and a refusal has none.
        text = record.text if self._keep_quotes else record.text.removesuffix(record.topics)
        told = Quoted(text, _plain(record.sources), _plain(record.citations))
        async with self._database.transaction() as session:
            if not self._keep_quotes:
                # A document that was deleted while it was being quoted must not come back with the answer.
                gone = await Quotes(session).gone({source.document_id for source in record.sources})
                told = told.without(gone)
            await Conversations(session, turn.owner).finish(
                turn.message_id,
                state=state,
                content=told.content,
                sources=told.sources,
                citations=told.citations,
                retrieval_query=record.query or None,
                model=record.model,
                prompts=record.prompts,
                usage=record.usage,
                timings=rounded(record.timings),
                finish_reason=record.finish_reason if state in ("complete", "stopped") else None,
                error_code=code,
            )

    async def askable(self, principal: Principal) -> list[KnowledgeBase]:
        """The knowledge bases that a principal may ask, by slug."""
        async with self._database.transaction() as session:
            rows = await KnowledgeBases(session).all_with_counts()
        return [found for found, _ in rows if _may_ask(principal, found.slug)]

    def count_tokens(self, text: str) -> int:
        """Tokens of a text as the language model counts them, or an upper estimate."""
        return self._count(text)

    async def messages(self, principal: Principal, conversation_id: UUID, *, limit: int) -> list[Message]:
        """The newest messages of a conversation, oldest first. Raises NotFound."""
        async with self._database.transaction() as session:
            return await Conversations(session, principal.subject).messages(conversation_id, newest=limit)

    async def close(self) -> None:
        """Stop what is still running, and wait until it is saved."""
        runs = [run for run, _ in self._runs.values()]
        for run in runs:
            run.stop()
        tasks = [run.task for run in runs if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=SAVE_SECONDS)


def _may_ask(principal: Principal, slug: str) -> bool:
    return principal.knowledge_base in (None, slug)


def _title(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def _plain(records: Sequence[Source | Citation]) -> list[dict[str, Any]]:
    """Dataclasses as JSON knows them."""
    return [
        {key: str(value) if isinstance(value, UUID) else value for key, value in asdict(record).items()}
        for record in records
    ]
