"""The chain of a turn, in LangChain's expression language:

    remember | condense | retrieve | decide

Each fills in a `Turn`; `Answering.events` makes events of what comes out. Those are no part of the chain, which makes a
task of every token at each of its links. Whoever reads them notes each in the turn's record before the next one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache, partial

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, merge_message_runs
from langchain_core.runnables import Runnable, RunnableLambda

from rag_service.chat import extractive, surroundings
from rag_service.chat.citations import CitationStream
from rag_service.chat.events import Delta, Done, Event, Source, Sources, Traced
from rag_service.chat.expansion import Expansion
from rag_service.chat.llm import ChatModel, Completion
from rag_service.chat.memory import Remembered, inert, transcript
from rag_service.chat.prompts import Prompt
from rag_service.chat.source_text import as_text, inside_tags, source_of
from rag_service.chat.turn import Begun, Turn, rounded
from rag_service.db.models import KnowledgeBase
from rag_service.db.repositories.filters import Filters
from rag_service.errors import ModelUnavailable
from rag_service.knowledge import refusal
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.retriever import Retriever
from rag_service.knowledge.selection import Hit
from rag_service.knowledge.tokens import estimate_tokens
from rag_service.knowledge.trace import Trace

logger = logging.getLogger(__name__)

REMEMBERED = 4096
"""Texts of sources whose tokens are not counted again: some 5 MB."""


@dataclass(frozen=True)
class Answering:
    """Everything the chain needs; built once a process. `model` is None where none is configured."""

    retriever: Retriever
    embedder: Embedder
    model: ChatModel | None
    prompts: dict[str, Prompt]
    answer_prompts: dict[str, Prompt]
    retrieve_chunks: int
    context_tokens: int
    load_history: Callable[[Turn], Awaitable[Remembered]]
    expansion: Expansion | None = None

    @cached_property
    def chain(self) -> Runnable[Turn, Turn]:
        """Finds what the answer of a turn is to be made of."""
        found = (
            RunnableLambda(self._remember) | RunnableLambda(self._condense) | RunnableLambda(self._retrieve)
        )
        return found | RunnableLambda(self._decide)

    async def events(self, turn: Turn) -> AsyncGenerator[Event, None]:
        """What the turn tells between its start and its end, and behind it that the answer is whole."""
        turn = await self.chain.ainvoke(turn)
        yield Sources(turn.sources)
        if turn.trace:
            yield _traced(turn)
        if turn.sources:
            turn = replace(turn, found=turn.found.without_hits())
        async with aclosing(self._text(turn)) as told:
            async for event in told:
                yield event
        yield _done(turn)

    def search_ahead(self, question: str, knowledge_base: KnowledgeBase, filters: Filters) -> Begun:
        """Search for a first question, before which nothing was said that could word it otherwise, while it is still
        being entered: a turn that has this as its `searching` does not search again."""
        search = self.retriever.retrieve(
            question,
            knowledge_base.id,
            limit=self.retrieve_chunks,
            filters=filters,
            knowledge_base=knowledge_base,
        )
        return Begun(asyncio.create_task(search))

    async def _remember(self, turn: Turn) -> Turn:
        before = time.perf_counter()
        remembered = await self.load_history(turn)
        turn.record.timings["memory"] = 1000 * (time.perf_counter() - before)
        return replace(turn, history=remembered.turns, summary=remembered.summary)

    async def _condense(self, turn: Turn) -> Turn:
        """What to search for: a question that follows on from others is rewritten to stand alone."""
        before = time.perf_counter()
        leans = bool(turn.history or turn.summary) and not await self._says_enough(turn)
        query = await self._standalone(turn) if leans else turn.question
        if query is None or not leans:
            # Where no model puts them in, the questions before lend their words and their vectors to this one.
            turn = replace(turn, asked=_asked(turn.history))
        if query is None:
            query = "\n".join([*turn.asked[-1:], turn.question])
        turn.record.query = query
        turn.record.timings["condense"] = 1000 * (time.perf_counter() - before)
        return replace(turn, query=query)

    async def _says_enough(self, turn: Turn) -> bool:
        """Whether a model that could word the question better need not be asked to."""
        return self.model is not None and await self.retriever.says_enough(
            turn.question, turn.knowledge_base_id
        )

    async def _standalone(self, turn: Turn) -> str | None:
        """The question as the model words it with what was said before; None where no model does."""
        if self.model is not None:
            prompt = self.prompts["condense"]
            turn.record.prompts.append(prompt.mark)
            message = prompt.message(
                history=transcript(turn.history[-6:], turn.summary), question=turn.question
            )
            try:
                asking = Completion("condense", turn.record.calls)
                if rewritten := (await self.model.complete([message], asking)).strip():
                    return rewritten[:2000]
            except ModelUnavailable as error:
                logger.warning("searching without a rewritten question", extra={"reason": error.detail})
        return None

    async def _retrieve(self, turn: Turn) -> Turn:
        search = partial(
            self.retriever.retrieve,
            knowledge_base_id=turn.knowledge_base_id,
            limit=self.retrieve_chunks,
            filters=turn.filters,
        )
        asked = turn.question if turn.asked else turn.query
        plain = (turn.searching and turn.searching.take()) or search(asked, history=turn.asked)
        if self.expansion is None:
            found = await plain
        else:
            turn.record.prompts.append(self.expansion.prompt.mark)
            found = await self.expansion.widen(
                asked, plain, search, limit=self.retrieve_chunks, calls=turn.record.calls
            )
        turn.record.timings |= found.timings
        return replace(turn, found=found)

    async def _decide(self, turn: Turn) -> Turn:
        """Refuse or answer: by what was found, as a model's own word on it would cost time and be less sure."""
        # At once: one thread judges, another counts tokens, and PostgreSQL looks for what stands next to the hits.
        likely, sources = await asyncio.gather(self._answerable(turn), self._surrounded(turn))
        return replace(turn, likely=likely, sources=[] if likely < turn.refusal_score else sources)

    async def _answerable(self, turn: Turn) -> float:
        """How likely it is that the hits answer the question, or at least, where that is likely enough; below 0 where
        there are none."""
        before = time.perf_counter()
        least = refusal.least(turn.query, turn.found, self.embedder)
        if least >= turn.refusal_score and not turn.trace:
            turn.record.timings["judge"] = 1000 * (time.perf_counter() - before)
            return least
        # A question that was asked after others is answered if it is with the last of them, or by itself.
        worded = dict.fromkeys([turn.query, turn.question] if turn.asked else [turn.query])
        judged = [await asyncio.to_thread(refusal.judged, one, turn.found, self.embedder) for one in worded]
        likely, measured = max(judged, key=lambda one: one[0])
        turn.record.timings["judge"] = 1000 * (time.perf_counter() - before)
        logger.debug("judged", extra={"answerable": round(likely, 3), **asdict(measured)})
        return likely

    async def _text(self, turn: Turn) -> AsyncGenerator[Event, None]:
        """The answer proper: refused, generated, or quoted; quoted too when the model fails before its first word."""
        if not turn.sources:
            turn.record.finish_reason = "refused"
            yield Delta(extractive.not_found(turn.question))
            turn.record.topics = extractive.nearest_topics(turn.question, self._sources(turn.found.hits))
            if turn.record.topics:
                yield Delta(turn.record.topics)
            return
        if self.model is not None:
            begun = False
            async with aclosing(self._generate(self.model, turn)) as events:
                try:
                    async for event in events:
                        begun = True
                        yield event
                    return
                except ModelUnavailable as error:
                    if begun:
                        raise
                    logger.warning("quoting, since the language model failed", extra={"reason": error.detail})
                    turn.record.model, turn.record.degraded = extractive.NAME, True
        async with aclosing(self._quote(turn)) as quotes:
            async for event in quotes:
                yield event

    def _sources(self, hits: Sequence[Hit]) -> list[Source]:
        """As many of the hits as fit in the context's budget, numbered."""
        sources: list[Source] = []
        spent = 0
        for hit in hits:
            source = source_of(len(sources) + 1, hit.source, hit.score)
            spent += self._size(source)
            if sources and spent > self.context_tokens:
                break
            sources.append(source)
        return sources

    async def _surrounded(self, turn: Turn) -> list[Source]:
        """The sources of the turn, and for a model what stands next to them, as far as there is room."""
        counting = asyncio.to_thread(self._sources, turn.found.hits)
        if self.model is None or not turn.found.hits:
            return await counting
        before = time.perf_counter()
        # Also of hits that there may be no room for.
        finding = self.retriever.neighbours(turn.knowledge_base_id, turn.found.hits)
        sources, near = await asyncio.gather(counting, finding)
        turn.record.timings["neighbours"] = 1000 * (time.perf_counter() - before)
        return surroundings.widened(
            sources,
            [(source_of(0, one.source, 0.0), one.of) for one in near],
            self._size,
            self.context_tokens,
        )

    def _size(self, source: Source) -> int:
        """Tokens of a source in a prompt, with a number of two digits."""
        return self._count(as_text([replace(source, number=10)]))

    @cached_property
    def _count(self) -> Callable[[str], int]:
        """Counts tokens, and remembers: what is found for one question is found for others too."""
        return lru_cache(maxsize=REMEMBERED)(self.model.tokens.count if self.model else estimate_tokens)

    async def _quote(self, turn: Turn) -> AsyncGenerator[Event, None]:
        before = time.perf_counter()
        quotes = await extractive.best_sentences(
            turn.query,
            surroundings.found_itself(turn.sources),
            self.embedder,
            turn.found.frequencies,
            terms=turn.found.terms,
        )
        turn.record.timings["quote"] = 1000 * (time.perf_counter() - before)
        for event in extractive.answer(turn.question, quotes):
            yield event

    async def _generate(self, model: ChatModel, turn: Turn) -> AsyncGenerator[Event, None]:
        """The model's answer with its citations checked. Raises ModelUnavailable."""
        before = time.perf_counter()
        record = turn.record
        rules, question = self._rules(turn), self.prompts["question"]
        earlier = [self.prompts["earlier"]] if turn.summary else []
        messages = [
            rules,
            *(prompt.message(summary=inert(turn.summary)) for prompt in earlier),
            *turn.history,
            question.message(
                sources=as_text(surroundings.in_reading_order(turn.sources)), question=turn.question
            ),
        ]
        if earlier:
            messages = merge_message_runs(messages)  # some models insist that user and assistant alternate
        record.prompts += [prompt.mark for prompt in (*earlier, question)]
        record.timings["prompt"] = 1000 * (time.perf_counter() - before)
        completion, citations = Completion("answer", record.calls), CitationStream(turn.sources)
        async with aclosing(model.stream(messages, completion)) as pieces:
            async for piece in pieces:
                record.model = completion.model or model.name
                for event in citations.feed(piece):
                    yield event
        for event in citations.finish():
            yield event
        record.finish_reason = completion.finish_reason or "stop"

    def _rules(self, turn: Turn) -> BaseMessage:
        """The system prompt, and behind it what the caller wishes, between tags that nothing inside them can close."""
        system = self._system(turn)
        turn.record.prompts.append(system.mark)
        if not turn.instruction:
            return system.message()
        wishes = self.prompts["instruction"]
        turn.record.prompts.append(wishes.mark)
        wished = wishes.message(instruction=inside_tags(turn.instruction))
        return SystemMessage(f"{system.message().text}\n\n{wished.text}")

    def _system(self, turn: Turn) -> Prompt:
        """The prompt that the knowledge base names. One whose file was taken away does not keep it from answering."""
        if turn.prompt not in self.answer_prompts:
            logger.warning("answering with the prompt `answer`", extra={"missing_prompt": turn.prompt})
        return self.answer_prompts.get(turn.prompt, self.answer_prompts["answer"])


def _traced(turn: Turn) -> Traced:
    return Traced(
        hits=[Trace.of(hit) for hit in turn.found.all],
        query=turn.query,
        answerable=turn.likely if turn.found.hits else None,
        refusal_score=turn.refusal_score,
        timings=rounded(turn.record.timings),
    )


def _done(turn: Turn) -> Done:
    record = turn.record
    record.timings["total"] = record.elapsed()
    return Done(
        message_id=turn.message_id,
        finish_reason=record.finish_reason,
        model=record.model,
        usage=record.usage,
        timings=rounded(record.timings),
        degraded=record.degraded,
        unsupported=record.unsupported(),
    )


def _asked(history: Sequence[BaseMessage]) -> tuple[str, ...]:
    return tuple(message.text for message in history if isinstance(message, HumanMessage))
