"""Chunks of OpenAI's protocol as the JSON that they are.

The SDK makes an object of every chunk, which LangChain turns into JSON again: together over a third of the processor
time of a stream. LangChain takes chunks as JSON too.
"""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import AsyncOpenAI, AsyncStream

_NOT_OF_THE_BODY = {"extra_headers", "extra_query", "extra_body", "timeout"}


class _PlainChunks:
    """The SDK's completions, but for streams: errors, retries and time limits stay the SDK's."""

    def __init__(self, completions: Any, client: AsyncOpenAI) -> None:
        self._completions = completions
        self._client = client

    async def create(self, **body: Any) -> Any:
        if not body.get("stream") or _NOT_OF_THE_BODY & body.keys():
            return await self._completions.create(**body)
        return await self._client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._completions, name)


def use_plain_chunks(model: BaseChatModel) -> None:
    """Have a model of OpenAI's protocol stream so; others are left as they are."""
    if isinstance(model, BaseChatOpenAI) and type(model.root_async_client) is AsyncOpenAI:
        model.async_client = _PlainChunks(model.async_client, model.root_async_client)
