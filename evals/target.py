"""Asking a running service as its users do: over the public API, streamed, timed at the client."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import ValidationError

from evals.errors import EvalError
from evals.suite import Case
from rag_service.api.schemas.chat import CitationOut, SourceOut
from rag_service.client import Client

LIVE_CHECKS = 3
LIVE_CHECK_SECONDS = 2.0


@dataclass
class Reply:
    """One whole answer. Times are milliseconds from the moment the question was sent."""

    conversation_id: str = ""
    answer: str = ""
    sources: Sequence[SourceOut] = ()
    citations: list[CitationOut] = field(default_factory=list)
    finish_reason: str = ""
    model: str = ""
    degraded: bool = False
    server_timings: dict[str, float] = field(default_factory=dict)
    first_token_ms: float | None = None
    total_ms: float = 0.0

    @property
    def refused(self) -> bool:
        """Whether it says that the documents do not answer.

        The service says so itself, or the language model does: it is told to cite nothing in that case, and an
        answer that cites nothing proves nothing.
        """
        return self.finish_reason == "refused" or not self.citations


async def ask(client: Client, case: Case) -> Reply:
    """The answer to the case's question, behind the earlier turns of its history.

    Raises:
        RagError: the target does not answer, refuses the request, or ends the turn in an error.
    """
    reply = Reply()
    for question in (*case.history, case.question):
        reply = await _turn(client, question, case.knowledge_base, reply.conversation_id)
    return reply


async def _turn(client: Client, question: str, knowledge_base: str, conversation_id: str) -> Reply:
    reply = Reply()
    started = time.perf_counter()
    done = False
    # A conversation stays with its knowledge base: it is named for the first turn only.
    events = client.ask(
        question,
        conversation_id=conversation_id or None,
        knowledge_base=None if conversation_id else knowledge_base,
    )
    try:
        async for name, data in events:
            elapsed = 1000 * (time.perf_counter() - started)
            if name == "delta" and reply.first_token_ms is None:
                reply.first_token_ms = elapsed
            _note(reply, name, data)
            reply.total_ms, done = elapsed, name == "done"
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise EvalError("The target's answer does not have the shape of rag-service's events.") from error
    except httpx.HTTPError as error:
        raise EvalError("The target's answer could not be read as HTTP.") from error
    if not done:
        raise EvalError("The target ended the stream without saying that the answer was whole.")
    return reply


def _note(reply: Reply, name: str, data: dict[str, Any]) -> None:
    match name:
        case "start":
            reply.conversation_id = str(data["conversation_id"])
        case "sources":
            reply.sources = [SourceOut.model_validate(source) for source in data["sources"]]
        case "delta":
            reply.answer += str(data["text"])
        case "citation":
            reply.citations.append(CitationOut.model_validate(data))
        case "done":
            reply.finish_reason, reply.model = str(data["finish_reason"]), str(data["model"])
            reply.degraded = bool(data.get("degraded"))
            reply.server_timings = {key: float(value) for key, value in data.get("timings", {}).items()}


async def is_alive(url: str) -> bool:
    """Whether the target's process still answers; asked more than once, since it may be busy for a moment."""
    async with httpx.AsyncClient(timeout=LIVE_CHECK_SECONDS, trust_env=False) as http:
        for attempt in range(LIVE_CHECKS):
            if attempt:
                await asyncio.sleep(0.25 * 2**attempt)
            try:
                if (await http.get(f"{url}/health/live")).is_success:
                    return True
            except httpx.HTTPError:
                continue
    return False
