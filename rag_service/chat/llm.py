"""Chat models, through LangChain; their errors and silences become ours."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, BaseMessageChunk

from rag_service.chat.plain_chunks import use_plain_chunks
from rag_service.errors import ConfigurationError, ModelUnavailable
from rag_service.knowledge.tokens import TokenCounter, load_token_counter
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

# A NUL, and halves of surrogate pairs: neither PostgreSQL nor UTF-8 can hold them.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass
class Completion:
    """What a model said of its answer; filled in while it streams."""

    finish_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatModel:
    """A LangChain chat model with limits to its silences, and a counter for its tokens."""

    name: str
    model: BaseChatModel
    tokens: TokenCounter
    first_token_seconds: float
    token_seconds: float

    async def stream(
        self, messages: Sequence[BaseMessage], completion: Completion
    ) -> AsyncGenerator[str, None]:
        """Pieces of the answer's text as they come.

        Raises:
            ModelUnavailable: refused, silent for too long, cut off, ended without saying that it had, or without
                having said a word.
        """
        seconds, is_empty = self.first_token_seconds, True
        try:
            async with aclosing(self._pieces(messages)) as pieces:
                while True:
                    async with asyncio.timeout(seconds):
                        piece = await anext(pieces, None)
                    if piece is None:
                        break
                    _note(piece, completion)
                    if text := _UNSTORABLE.sub("", piece.text):
                        seconds = self.token_seconds
                        is_empty = is_empty and text.isspace()
                        yield text
        except TimeoutError as error:
            raise ModelUnavailable(
                f"The language model was silent for {seconds:.0f} seconds.", code="model_timeout"
            ) from error
        except (ModelUnavailable, GeneratorExit):
            raise
        except Exception as error:
            # Every provider raises errors of its own; whichever it is, the turn ends the same way, and the
            # log says which it was. The text of the error may hold a key: it goes no further.
            logger.warning(
                "the language model failed", extra={"model": self.name, "error": type(error).__name__}
            )
            raise ModelUnavailable(_sentence(error), code="model_failed") from error
        if completion.finish_reason is None:
            raise ModelUnavailable("The language model's answer was cut off.", code="model_cut_off")
        if is_empty:
            raise ModelUnavailable("The language model gave an empty answer.", code="model_empty")

    async def _pieces(self, messages: Sequence[BaseMessage]) -> AsyncGenerator[BaseMessageChunk, None]:
        async with aclosing(self.model.astream(list(messages))) as stream:  # type: ignore[type-var]
            async for piece in stream:
                yield piece

    async def complete(self, messages: Sequence[BaseMessage]) -> str:
        """The whole answer at once. Raises ModelUnavailable."""
        async with aclosing(self.stream(messages, Completion())) as pieces:
            return "".join([piece async for piece in pieces])


def _note(piece: BaseMessageChunk, completion: Completion) -> None:
    completion.finish_reason = piece.response_metadata.get("finish_reason") or completion.finish_reason
    usage = getattr(piece, "usage_metadata", None)
    if usage:
        completion.usage = {
            "input_tokens": usage["input_tokens"],
            "output_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        }


def _sentence(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    if status == 429:
        return "The language model has too many requests right now; try again in a moment."
    if status in (401, 403):
        return "The language model refused our credential; an administrator must check OPENAI_API_KEY."
    if status is not None:
        return f"The language model answered with an error ({status})."
    return "The language model does not answer."


def load_chat_model(settings: Settings) -> ChatModel | None:
    """The model that the settings name, or None for `extractive`. Imports SDKs: call it off the event loop.

    Raises:
        ConfigurationError: the provider is unknown, or its package is not installed.
    """
    name = settings.answers_with
    if name == "extractive":
        return None
    options: dict[str, Any] = {
        "timeout": settings.model_first_token_seconds,
        "max_retries": 2,  # the SDK's own: before the answer has begun, honouring Retry-After
        "max_tokens": settings.answer_tokens,
    }
    if name.startswith("openai:"):
        options |= {
            "stream_usage": True,
            # The provider's package waits for each piece in a way that can lose a cancellation; our own limits
            # stand around it (`ChatModel.stream`).
            "stream_chunk_timeout": None,
            "base_url": settings.openai_base_url,
            "api_key": settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none",
        }
    try:
        model = init_chat_model(name, **options)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"RAG_CHAT_MODEL={name} cannot be used: {error}. It looks like `openai:gpt-4o-mini`, or `extractive`."
        ) from error
    if name.startswith("openai:"):
        use_plain_chunks(model)
    return ChatModel(
        name=name,
        model=model,
        tokens=load_token_counter(name.partition(":")[2]),
        first_token_seconds=settings.model_first_token_seconds,
        token_seconds=settings.model_token_seconds,
    )
