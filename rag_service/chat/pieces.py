"""What a language model sends, as pieces of text and what it tells of its end.

Every LangChain chat model streams. Those of OpenAI's protocol are read from the wire instead, with the request that
LangChain makes for them: the SDK makes an object of every chunk and LangChain two more, which it keeps until the end,
and together they took most of the processor time and of the memory of a stream.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from httpx2 import TransportError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, BaseMessageChunk
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import APIError, AsyncOpenAI, AsyncStream

_LAST_BYTE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer. `finish_reason` is in the provider's words, `usage` the tokens up to here."""

    text: str = ""
    finish_reason: str | None = None
    usage: tuple[int, int] | None = None
    """Read and written."""


async def pieces(model: BaseChatModel, messages: Sequence[BaseMessage]) -> AsyncGenerator[Piece, None]:
    """The model's answer as it comes. Raises the provider's errors."""
    request = _request(model, messages)
    if request is None:
        async with aclosing(model.astream(list(messages))) as stream:  # type: ignore[type-var]
            used = (0, 0)
            async for chunk in stream:
                if isinstance(chunk, AIMessageChunk) and (more := chunk.usage_metadata):
                    used = used[0] + more["input_tokens"], used[1] + more["output_tokens"]
                yield Piece(chunk.text, _reason(chunk), used if any(used) else None)
        return
    client, body = request
    wire = await client.post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=_Wire)
    async with wire:
        async for chunks in wire:
            yield _joined(chunks)


async def close(model: BaseChatModel) -> None:
    """Let go of the connections of a model of OpenAI's protocol; others see to theirs."""
    if isinstance(model, BaseChatOpenAI):
        await model.root_async_client.close()


def _request(
    model: BaseChatModel, messages: Sequence[BaseMessage]
) -> tuple[AsyncOpenAI, dict[str, Any]] | None:
    """Whom to ask for chunks of OpenAI's protocol, and what to send; None where LangChain knows how to ask, not we."""
    if not isinstance(model, BaseChatOpenAI) or type(model.root_async_client) is not AsyncOpenAI:
        return None
    # What LangChain's own models override to be sent something else.
    body = model._get_request_payload(list(messages), stream=True, stream_options={"include_usage": True})
    return (model.root_async_client, body) if "messages" in body else None  # it speaks its newer protocol


class _Wire(AsyncStream[list[dict[str, Any]]]):
    """The chunks of a response, all that came together at a time. The SDK makes it of a response that is no error."""

    async def __stream__(self) -> AsyncIterator[list[dict[str, Any]]]:
        lines, received = _Lines(), self.response.aiter_bytes()
        try:
            while not lines.are_done:
                read = await anext(received, None)
                chunks, failure = self._chunks(lines.feed(b"\n" if read is None else read))
                if chunks:
                    yield chunks
                if failure is not None:
                    raise failure
                if read is None:
                    return
            # With its last byte read, which mostly came with the others, the connection can be used again.
            with suppress(TimeoutError, TransportError):
                async with asyncio.timeout(_LAST_BYTE_SECONDS):
                    await anext(received, None)
        finally:
            await self.response.aclose()

    def _chunks(self, lines: Iterable[bytes]) -> tuple[list[dict[str, Any]], ValueError | APIError | None]:
        """The chunks up to the first that is none, and why it is none: what came before it was said."""
        chunks: list[dict[str, Any]] = []
        try:
            for data in lines:
                chunks.append(self._checked(data))
        except (ValueError, APIError) as failure:
            return chunks, failure
        return chunks, None

    def _checked(self, data: bytes) -> dict[str, Any]:
        chunk: Any = json.loads(data)
        if not isinstance(chunk, dict):
            raise APIError("A chunk is no object.", self.response.request, body=None)
        if error := chunk.get("error"):
            raise APIError("The stream ended in an error.", self.response.request, body=error)
        return chunk


class _Lines:
    """Cuts what comes over the wire into the data of events, of which each has one line."""

    def __init__(self) -> None:
        self._rest = b""
        self.are_done = False

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The data that is whole by now, up to the mark at the end."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            if self.are_done or not line.startswith(b"data:"):
                continue
            data = line[len(b"data:") :].strip()
            self.are_done = data.startswith(b"[DONE]")
            if not self.are_done:
                yield data


def _joined(chunks: Sequence[dict[str, Any]]) -> Piece:
    """One piece of chunks that came together."""
    texts: list[str] = []
    reason, usage = None, None
    for chunk in chunks:
        for choice in (chunk.get("choices") or [])[:1]:
            texts.append(_text((choice.get("delta") or {}).get("content")))
            reason = choice.get("finish_reason") or reason
        if used := chunk.get("usage"):
            usage = used.get("prompt_tokens") or 0, used.get("completion_tokens") or 0
    return Piece("".join(texts), reason, usage)


def _text(content: Any) -> str:
    """The text of a delta. Some servers send its parts, of which others than text are no part of an answer."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def _reason(chunk: BaseMessageChunk) -> str | None:
    told = chunk.response_metadata
    reason = told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason")
    if (told.get("prompt_feedback") or {}).get("block_reason"):
        return "content_filter"  # Google's models did not even begin
    return str(reason) if reason else None
