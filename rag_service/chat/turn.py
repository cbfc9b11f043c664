"""A turn on its way: what is asked, what is known of it so far, and what will be stored of its answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage

from rag_service.chat import extractive
from rag_service.chat.events import Citation, Delta, Event, Source, Sources
from rag_service.chat.growing import Growing
from rag_service.chat.support import is_claimed, unsupported
from rag_service.chat.usage import Call, usage_of
from rag_service.db.repositories.filters import NO_FILTERS, Filters
from rag_service.knowledge.retriever import NOTHING, Retrieval


@dataclass
class Record:
    """What is stored of an answer; filled in as it comes, so that a turn cut short keeps what it had.

    `topics` is the end of a refusal's text: headings of documents, which are not stored with it.
    """

    said: Growing = field(default_factory=Growing)
    topics: str = ""
    sources: list[Source] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    query: str = ""
    model: str = extractive.NAME
    prompts: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    finish_reason: str = "stop"
    degraded: bool = False
    started: float = field(default_factory=time.perf_counter)

    def note(self, event: Event) -> None:
        """Take in an event on its way out."""
        match event:
            case Sources(sources):
                self.sources = list(sources)
            case Delta(text):
                if not self.said:
                    self.timings["first_delta"] = self.elapsed()
                self.said.add(text)
            case Citation():
                self.citations.append(event)

    @property
    def text(self) -> str:
        """The answer as far as it was told."""
        return str(self.said)

    @property
    def usage(self) -> dict[str, Any]:
        """What the models used that were asked in this turn."""
        return usage_of(self.calls)

    def unsupported(self) -> list[tuple[int, int]]:
        """Spans of the sentences that no source supports."""
        if not is_claimed(self.model, self.finish_reason):
            return []
        return unsupported(self.text, [one.answer_span for one in self.citations if one.supported])

    def elapsed(self) -> float:
        """Milliseconds since the turn began."""
        return 1000 * (time.perf_counter() - self.started)


@dataclass(frozen=True)
class Turn:
    """One question on its way through the chain. `asked` are the questions before it, where they help to search.

    `told` is what was said before where the caller keeps the conversation, and `instruction` what it wishes of the
    answer. `searching` is the search for the question, where that was begun before the turn. `likely` is how likely it
    is that what was found answers the question, below 0 where nothing was; without `sources` it is refused.
    """

    message_id: UUID
    conversation_id: UUID
    knowledge_base_id: UUID
    owner: str
    question: str
    record: Record
    refusal_score: float
    prompt: str = "answer"
    trace: bool = False
    filters: Filters = NO_FILTERS
    told: Sequence[BaseMessage] | None = None
    instruction: str = ""
    searching: "asyncio.Task[Retrieval] | None" = None
    history: Sequence[BaseMessage] = ()
    summary: str = ""
    query: str = ""
    asked: Sequence[str] = ()
    found: Retrieval = NOTHING
    likely: float = 0.0
    sources: Sequence[Source] = ()


def rounded(timings: dict[str, float]) -> dict[str, float]:
    """Milliseconds to one decimal."""
    return {name: round(value, 1) for name, value in timings.items()}
