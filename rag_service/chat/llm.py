"""The language models that answer, in the order in which they are asked: the next where one gives no word."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from langchain_core.messages import BaseMessage

from rag_service.chat.breaker import Breaker
from rag_service.chat.language_model import Heard, LanguageModel
from rag_service.chat.model_faults import ModelFault
from rag_service.chat.providers import connect, provider_of
from rag_service.chat.usage import Call, Purpose
from rag_service.errors import ConfigurationError
from rag_service.knowledge.tokens import TokenCounter, load_token_counter
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

EXTRACTIVE = "extractive"

CHARACTERS_A_TOKEN = 16
"""More than the tokens of an answer have on average, in any language: about four in English, and one in others."""


@dataclass
class Completion:
    """What is asked for, and what is known of the answer; filled in while it streams. `calls` may be shared by all
    completions of a turn; `model` is the one whose words are heard."""

    purpose: Purpose = "answer"
    calls: list[Call] = field(default_factory=list)
    model: str | None = None
    finish_reason: str | None = None


@dataclass(frozen=True)
class ChatModel:
    """Language models, best first. `total_seconds` is the longest that an answer may take, whoever gives it, and
    `longest` how many characters it may have: a model that ignores its limit of tokens is cut off there."""

    models: Sequence[LanguageModel]
    total_seconds: float
    longest: int

    @property
    def name(self) -> str:
        """Of the model that is asked first."""
        return self.models[0].name

    @property
    def tokens(self) -> TokenCounter:
        """The counter by which prompts are measured."""
        return self.models[0].tokens

    async def stream(
        self, messages: Sequence[BaseMessage], completion: Completion
    ) -> AsyncGenerator[str, None]:
        """Pieces of the answer's text as they come, all of the first model that gets a word out.

        Raises:
            ModelUnavailable: no model gave a word, or the one that did failed after it.
        """
        loop = asyncio.get_running_loop()
        until, left = loop.time() + self.total_seconds, self.longest
        failure = ModelFault("The language model does not answer.", code="model_failed")
        for model in self._worth_asking(completion):
            if loop.time() >= until:
                break
            heard, call = Heard(), Call(completion.purpose, model.name)
            completion.calls.append(call)
            try:
                async with aclosing(model.stream(messages, heard, call, until)) as pieces:
                    async for text in pieces:
                        completion.model = model.name
                        if len(text) > left:
                            logger.warning(
                                "a language model does not keep to its limit", extra={"model": model.name}
                            )
                            completion.finish_reason = "length"
                            yield text[:left]
                            return
                        left -= len(text)
                        yield text
                completion.finish_reason = heard.finish_reason
                return
            except ModelFault as fault:
                if heard.text:
                    raise
                failure = fault
                logger.warning(
                    "no word from a language model",
                    extra={
                        "model": model.name,
                        "code": fault.code,
                        "tries": call.tries,
                        "ms": round(call.ms),
                    },
                )
        raise failure

    def _worth_asking(self, completion: Completion) -> list[LanguageModel]:
        """All, without those that were silent in this very turn; they would be waited for again."""
        silent = {call.model for call in completion.calls if call.outcome == "model_timeout"}
        return [model for model in self.models if model.name not in silent]

    async def complete(self, messages: Sequence[BaseMessage], completion: Completion) -> str:
        """The whole answer at once. Raises ModelUnavailable."""
        async with aclosing(self.stream(messages, completion)) as pieces:
            return "".join([piece async for piece in pieces])


def load_chat_model(settings: Settings) -> ChatModel | None:
    """The models that the settings name, or None for `extractive`. Imports SDKs: call it off the event loop.

    Raises:
        ConfigurationError: a provider is unknown, or its package is not installed, or its key is not set.
    """
    first, others = settings.answers_with, settings.fallback_models
    if first == EXTRACTIVE:
        if others:
            raise ConfigurationError(
                "RAG_FALLBACK_MODELS is set, but no model for it to stand in for; set RAG_CHAT_MODEL."
            )
        return None
    wanted = [(first, "RAG_CHAT_MODEL"), *((name, "RAG_FALLBACK_MODELS") for name in others)]
    tokens = load_token_counter(first.partition(":")[2])
    models = [
        LanguageModel(
            name=name,
            model=connect(name, setting, settings),
            tokens=tokens,
            first_token_seconds=settings.model_first_token_seconds,
            token_seconds=settings.model_token_seconds,
            key=provider_of(name).key,
            price=settings.model_prices.get(name),
            breaker=Breaker(rest_seconds=settings.model_rest_seconds),
        )
        for name, setting in wanted
    ]
    return ChatModel(models, settings.model_total_seconds, CHARACTERS_A_TOKEN * settings.answer_tokens)
