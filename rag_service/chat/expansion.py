"""Searching for more than the question: also for other wordings of it, or for an answer as a model imagines it."""

import asyncio
import logging
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from rag_service.chat.llm import ChatModel, Completion
from rag_service.chat.prompts import Prompt, load_prompt
from rag_service.chat.usage import Call
from rag_service.errors import ConfigurationError, Unavailable
from rag_service.knowledge.retriever import Retrieval
from rag_service.knowledge.selection import Hit, distinct
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

SECONDS = 2.0
"""How long a turn waits for what the model adds; then the plain search is all there is."""
WORDINGS = 3
LENGTH = 1000
"""Characters of a wording, or of an imagined answer, that are searched for."""
RANK = 60
"""How little the first ranks stand out, in reciprocal rank fusion: its usual constant."""

_NUMBER = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")

Search = Callable[[str], Awaitable[Retrieval]]


@dataclass(frozen=True)
class Expansion:
    """A model that is asked what else to search for. `many` wordings, a line each, or one passage."""

    model: ChatModel
    prompt: Prompt
    many: bool

    async def widen(
        self,
        question: str,
        plain: Awaitable[Retrieval],
        search: Search,
        *,
        limit: int,
        calls: list[Call],
    ) -> Retrieval:
        """What the plain search finds, fused with what is found for the model's words; both at once.

        At most SECONDS pass from the start, however slow the model is, if the plain search is not slower. Raises what
        that raises, and nothing of the model's.
        """
        started = time.perf_counter()
        asking = asyncio.create_task(self._others(question, search, calls))
        try:
            found = await plain
            left = SECONDS - (time.perf_counter() - started)
            await asyncio.wait([asking], timeout=max(0.0, left))
            others = asking.result() if asking.done() else []
        finally:
            asking.cancel()
            await asyncio.wait([asking])  # until its stream is closed, and its tokens are counted
        waited = 1000 * (time.perf_counter() - started)
        return replace(
            _fused([found, *others], limit) if others else found, timings={**found.timings, "expand": waited}
        )

    async def _others(self, question: str, search: Search, calls: list[Call]) -> list[Retrieval]:
        """What is found for each of the model's wordings; nothing where it or a search fails."""
        try:
            said = await self.model.complete(
                [self.prompt.message(question=question)], Completion("expand", calls)
            )
            return await asyncio.gather(*(search(text) for text in self._wordings(said)))
        except Unavailable as error:
            logger.warning("searching for the question alone", extra={"reason": error.detail})
            return []

    def _wordings(self, said: str) -> list[str]:
        lines = said.splitlines() if self.many else [" ".join(said.split())]
        clean = [_NUMBER.sub("", line).strip()[:LENGTH] for line in lines]
        return [line for line in dict.fromkeys(clean) if line][:WORDINGS]


def load_expansion(settings: Settings, model: ChatModel | None) -> Expansion | None:
    """The expansion that the settings want; None where they want none.

    Raises:
        ConfigurationError: there is no model, or the prompt cannot be read.
    """
    kind = settings.query_expansion
    if kind == "off":
        return None
    if model is None:
        raise ConfigurationError(
            f"RAG_QUERY_EXPANSION={kind} needs a language model; set RAG_CHAT_MODEL, or leave it off."
        )
    prompt = load_prompt(settings.prompts_dir, kind.replace("_", "-"))
    return Expansion(model, prompt, many=kind == "multi_query")


def _fused(found: Sequence[Retrieval], limit: int) -> Retrieval:
    """The best by reciprocal rank; each hit keeps the score that it was first found with.

    Ranks and not scores are counted: a long passage is more like everything than a short question is.
    """
    first: dict[UUID, Hit] = {}
    weights: dict[UUID, float] = defaultdict(float)
    for one in found:
        for rank, hit in enumerate(one.hits, 1):
            first.setdefault(hit.source.chunk.id, hit)
            weights[hit.source.chunk.id] += 1 / (RANK + rank)
    kept, folded = distinct(sorted(first.values(), key=lambda hit: -weights[hit.source.chunk.id]))
    left_out = [*kept[limit:], *folded, *found[0].left_out]
    return replace(found[0], hits=kept[:limit], left_out=left_out)
