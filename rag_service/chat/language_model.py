"""One language model: asked with limits to its silences, asked again while nobody has heard a word, and counted."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from rag_service.chat.breaker import Breaker
from rag_service.chat.model_faults import ModelFault, fault_of, silent
from rag_service.chat.pieces import Piece, pieces
from rag_service.chat.storable import storable
from rag_service.chat.usage import Call
from rag_service.knowledge.tokens import TokenCounter
from rag_service.settings import Price

logger = logging.getLogger(__name__)

TRIES = 3
PAUSE_SECONDS = 0.5
"""At most before the second try, where the model does not name a time; twice that before the third."""

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "refusal": "content_filter",
    **dict.fromkeys(("safety", "recitation", "blocklist", "prohibited_content", "spii"), "content_filter"),
}
"""Other providers' words for what OpenAI calls otherwise."""


@dataclass
class Heard:
    """What has come of an answer so far."""

    finish_reason: str | None = None
    usage: tuple[int, int] | None = None
    text: list[str] = field(default_factory=list)

    def take(self, piece: Piece) -> str:
        """Note a piece; gives its text."""
        if piece.finish_reason:
            reason = piece.finish_reason.lower()
            self.finish_reason = _FINISH.get(reason, reason)
        self.usage = piece.usage or self.usage
        text = storable(piece.text)
        if not self.text:
            text = text.lstrip()  # blanks alone are no word
        if text:
            self.text.append(text)
        return text

    def forget(self) -> None:
        """Another try begins."""
        self.finish_reason, self.usage = None, None


@dataclass(frozen=True)
class LanguageModel:
    """A LangChain chat model. `first_token_seconds` is how long it may take to its first word, all tries together;
    `token_seconds` how long it may be silent after that. `key` names the setting that holds its credential."""

    name: str
    model: BaseChatModel
    tokens: TokenCounter
    first_token_seconds: float
    token_seconds: float
    key: str
    pause_seconds: float = PAUSE_SECONDS
    price: Price | None = None
    breaker: Breaker = field(default_factory=Breaker)

    async def stream(
        self, messages: Sequence[BaseMessage], heard: Heard, call: Call, until: float
    ) -> AsyncGenerator[str, None]:
        """Pieces of the answer's text as they come, until the event loop's time is `until`.

        Raises:
            ModelFault: refused, silent for too long, cut off, ended without saying that it had, or without having
                said a word; or left alone, since it failed too often.
        """
        ticket = self.breaker.enter()
        if ticket is None:
            call.outcome = "model_resting"
            raise ModelFault("The language model has failed too often; it rests.", code="model_resting")
        started, failed = time.perf_counter(), None
        try:
            async with aclosing(self._tried(messages, heard, call, until)) as pieces:
                async for text in pieces:
                    if len(heard.text) == 1:
                        self.breaker.answered()
                    yield text
            failed, call.outcome = False, "complete"
        except ModelFault as fault:
            failed, call.outcome = fault.is_ill, fault.code
            raise
        finally:
            self.breaker.leave(ticket, failed=failed)
            call.ms = 1000 * (time.perf_counter() - started)
            self._count(messages, heard, call)

    async def _tried(
        self, messages: Sequence[BaseMessage], heard: Heard, call: Call, until: float
    ) -> AsyncGenerator[str, None]:
        """The pieces of the first try that gets a word."""
        loop = asyncio.get_running_loop()
        patience = min(until, loop.time() + self.first_token_seconds)
        while True:
            call.tries += 1
            try:
                async with aclosing(self._once(messages, heard, patience, until)) as pieces:
                    async for text in pieces:
                        yield text
                return
            except ModelFault as fault:
                pause = fault.retry_after or self._pause(call.tries)
                is_last = call.tries == TRIES or loop.time() + pause >= patience
                if heard.text or not fault.is_transient or is_last:
                    raise
            heard.forget()
            await asyncio.sleep(pause)

    def _pause(self, tries: int) -> float:
        """Longer from try to try, and never the same for all who were refused at the same time."""
        return self.pause_seconds * 2.0 ** (tries - 1) * random.uniform(0.5, 1)  # noqa: S311 - no secret

    async def _once(
        self, messages: Sequence[BaseMessage], heard: Heard, patience: float, until: float
    ) -> AsyncGenerator[str, None]:
        """The pieces of one HTTP request's answer; the first has to be there at `patience`."""
        loop = asyncio.get_running_loop()
        limit, seconds = patience, self.first_token_seconds
        try:
            async with aclosing(pieces(self.model, messages)) as stream:
                while True:
                    async with asyncio.timeout_at(min(limit, until)):
                        piece = await anext(stream, None)
                    if piece is None:
                        break
                    if text := heard.take(piece):
                        seconds = self.token_seconds
                        yield text
                    limit = loop.time() + seconds
        except TimeoutError as error:
            if loop.time() >= until:
                raise ModelFault(
                    "The language model took too long for its whole answer.",
                    code="model_timeout",
                    is_ill=None,
                ) from error
            raise silent(seconds) from error
        except Exception as error:
            # Whichever of a provider's errors it is, the turn ends the same way; the log says which it was.
            logger.warning(
                "the language model failed", extra={"model": self.name, "error": type(error).__name__}
            )
            raise fault_of(error, self.key) from error
        if heard.finish_reason is None:
            raise ModelFault("The language model's answer was cut off.", code="model_cut_off")
        if not heard.text:
            raise ModelFault("The language model gave an empty answer.", code="model_empty", is_ill=False)

    def _count(self, messages: Sequence[BaseMessage], heard: Heard, call: Call) -> None:
        """Put the tokens in: those the model told of, or else our own count of what it was sent and what it said."""
        if heard.usage is not None and heard.usage[0] and call.outcome == "complete":
            call.input_tokens, call.output_tokens = heard.usage
        elif heard.text or call.outcome in ("complete", "stopped", "model_timeout"):
            call.input_tokens = self.tokens.count("\n".join(message.text for message in messages))
            call.output_tokens = self.tokens.count("".join(heard.text))
            call.estimated = True
        call.price(self.price)
