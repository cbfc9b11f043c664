"""A turn as a chat completion of OpenAI's protocol: whole, or in chunks."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT
from starlette.types import Receive, Scope, Send

from rag_service.api import openai_errors, sse
from rag_service.api.cutting import Cut
from rag_service.api.schemas.chat import CitationOut, SourceOut
from rag_service.api.schemas.openai import CompletionRequest
from rag_service.chat.events import Citation, Delta, Done, Failed, Source, Sources
from rag_service.chat.runs import Run
from rag_service.chat.support import is_claimed, unsupported
from rag_service.errors import RagError, Unavailable, kind_of

_REASONS = {"length": "length", "max_tokens": "length", "content_filter": "content_filter"}
"""How a model may have ended, as OpenAI's protocol says it; all else is `stop`."""


class Completion:
    """A turn told to a client of OpenAI's protocol. `count` counts tokens, `site` is the address of this server."""

    def __init__(self, run: Run, asked: CompletionRequest, *, count: Callable[[str], int], site: str) -> None:
        self.run = run
        self._asked = asked
        self._count = count
        self._cut = Cut(asked.stop, asked.token_limit, count)
        self._site = site
        self._created = int(time.time())
        self._sources: list[Source] = []
        self._citations: list[Citation] = []
        self._done: Done | None = None

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The answer's text as it comes, up to where it is cut; the turn ends there too.

        Raises what the turn ended in, if it ended in an error.
        """
        async with aclosing(self.run.follow()) as events:
            async for _, event in events:
                match event:
                    case Sources(sources):
                        self._sources = list(sources)
                    case Citation():
                        self._citations.append(event)
                    case Delta(text):
                        if shown := self._cut.feed(text):
                            yield shown
                        if self._cut.reason is not None:
                            self.run.stop()
                    case Done():
                        if shown := self._cut.finish():
                            yield shown
                        self._end(event)
                    case Failed(code, detail, retryable) if self._cut.reason is None:
                        kind = kind_of(code) or (Unavailable if retryable else RagError)
                        raise kind(detail, code=code)
        if self._done is None and self._cut.reason is None:
            raise Unavailable("The answer goes on elsewhere; ask again.", code="interrupted")

    def _end(self, done: Done) -> None:
        self._done = done
        if done.finish_reason == "stopped" and self._cut.reason is None:
            raise Unavailable("The answer was stopped before its end.", code="stopped")

    async def whole(self) -> dict[str, Any]:
        """The completion as one. Raises as `pieces` does."""
        async with aclosing(self.pieces()) as pieces:
            async for _ in pieces:
                pass
        message = {
            "role": "assistant",
            "content": self._cut.text,
            "refusal": None,
            "annotations": self.annotations(),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": await self._usage(),
            "rag": self.proof(),
        }

    async def chunks(self) -> AsyncGenerator[dict[str, Any], None]:
        """The completion in chunks. Where usage is wanted, all chunks have it, and it is null in all but the last.
        Between the answer and its end stand the sources, in chunks that say nothing."""
        with_usage = self._asked.wants_usage
        head = self._head("chat.completion.chunk") | ({"usage": None} if with_usage else {})

        def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return {**head, "choices": [choice]}

        yield chunk({"role": "assistant", "content": "", "refusal": None})
        async with aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                yield chunk({"content": piece})
        for source in self._numbered():
            yield {**chunk({}), "event": source}
        yield {**chunk({"annotations": self.annotations()}, self._finish_reason), "rag": self.proof()}
        if with_usage:
            yield {**head, "choices": [], "usage": await self._usage()}

    def annotations(self) -> list[dict[str, Any]]:
        """The citations in OpenAI's form. The address is that of the original file, which a key of ours opens."""
        places = {source.number: self._place(source) for source in self._sources}
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": citation.answer_span[0],
                    "end_index": citation.answer_span[1],
                    **places[citation.number],
                },
            }
            for citation in self._shown()
        ]

    def _place(self, source: Source) -> dict[str, str]:
        """Where a source is found. Each has an address of its own: Open WebUI takes those of one address for one."""
        page = f"page={source.page}&" if source.page else ""
        return {
            "title": source.title or source.filename,
            "url": f"{self._site}/api/v1/documents/{source.document_id}/content#{page}source={source.number}",
        }

    def _numbered(self) -> list[dict[str, Any]]:
        """The sources up to the last that is cited, in Open WebUI's form.

        Its page reads `[2]` as the second source that it is told of. From the citations alone it would learn of them in
        the order in which they are cited, and name another document than the answer does.
        """
        last = max((citation.number for citation in self._shown()), default=0)
        return [
            {"type": "source", "data": _as_webui_has_it(source, self._place(source))}
            for source in self._sources
            if source.number <= last
        ]

    def proof(self) -> dict[str, Any]:
        """What OpenAI's form has no place for."""
        done, citations = self._done, self._shown()
        model, reason = (done.model, done.finish_reason) if done else (None, None)
        supported = [citation.answer_span for citation in citations if citation.supported]
        return {
            "conversation_id": str(self.run.conversation_id),
            "message_id": str(self.run.message_id),
            "run_id": str(self.run.id),
            "answered_by": model,
            "refused": reason == "refused" or not self._sources,
            "degraded": bool(done and done.degraded),
            "unsupported": unsupported(self._cut.text, supported) if is_claimed(model, reason) else [],
            "citations": [CitationOut.model_validate(one).model_dump(mode="json") for one in citations],
            "sources": [SourceOut.model_validate(one).model_dump(mode="json") for one in self._sources],
        }

    def _shown(self) -> list[Citation]:
        """The citations of what was shown."""
        return [one for one in self._citations if one.answer_span[1] <= len(self._cut.text)]

    @property
    def _finish_reason(self) -> str:
        said = self._done.finish_reason if self._done else ""
        return self._cut.reason or _REASONS.get(said, "stop")

    async def _usage(self) -> dict[str, int]:
        """What the language models counted; where they did not, or we cut the answer, the client's messages and the
        answer as we count them."""
        used = self._done.usage if self._done and self._cut.reason is None else {}
        if used.get("total_tokens"):
            asked, said = used["input_tokens"], used["output_tokens"]
        else:
            prompt = "\n".join(message.content for message in self._asked.messages)
            asked = await asyncio.to_thread(self._count, prompt)
            said = await asyncio.to_thread(self._count, self._cut.text)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.run.message_id}",
            "object": kind,
            "created": self._created,
            "model": self._asked.model,
        }


def _as_webui_has_it(source: Source, place: dict[str, str]) -> dict[str, Any]:
    name, url = place["title"], place["url"]
    return {
        "source": {"name": name, "url": url},
        "document": [f"{source.context}\n{source.text}".lstrip("\n")],
        "metadata": [
            {"source": url, "name": name, "external": True}
        ],  # else it shows the address as the name
    }


class CompletionStream(sse.TurnStream):
    """The chunks as server-sent events. A reader who leaves stops the turn: this protocol has no way to come back."""

    def __init__(self, completion: Completion, *, send_seconds: float) -> None:
        super().__init__(completion.run, send_seconds=send_seconds, frames=_frames(completion))

    def revoke(self, number: int) -> bytes:
        self._run.stop()
        return _frame(openai_errors.body(401, sse.REVOKED.code, sse.REVOKED.detail))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._run.stop()


async def _frames(completion: Completion) -> AsyncIterator[bytes]:
    chunks = completion.chunks()
    try:
        async with aclosing(chunks), aclosing(sse.with_pings(chunks)) as items:
            async for item in items:
                yield KEEPALIVE_COMMENT if item is None else _frame(item)
    except RagError as error:
        yield _frame(openai_errors.body(error.status, error.code, error.detail))
        return
    yield b"data: [DONE]\n\n"


def _frame(data: dict[str, Any]) -> bytes:
    return f"data: {sse.encoded(data)}\n\n".encode()
