"""An errand of a chat program, as a chat completion of OpenAI's protocol."""

import asyncio
import time
from typing import Any

from fastapi import Request

from rag_service.api.deps import Services, address_of
from rag_service.api.schemas.openai import CompletionRequest
from rag_service.auth.principal import Principal
from rag_service.chat.usage import Call, usage_of
from rag_service.db.models import new_id
from rag_service.errors import Unavailable


async def complete(
    request: Request, asked: CompletionRequest, principal: Principal, services: Services
) -> dict[str, Any]:
    """The completion. It counts as a turn of the caller's, and is kept nowhere.

    Raises what `Errands.do` raises, and:
        Unavailable: the client has left, or this process is about to end.
        Overloaded: there is no room for it.
    """
    services.chat.runs.check_open()
    calls: list[Call] = []
    with services.admission.turns.enter():
        try:
            text = await _done(request, asked.question, calls, services)
        finally:  # also of one that failed, or was left
            used = usage_of(calls)
            await services.admission.limits.spend_tokens(
                principal, address_of(request), used.get("total_tokens", 0)
            )
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": [],
    }
    return {
        "id": f"chatcmpl-{new_id()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": used["input_tokens"],
            "completion_tokens": used["output_tokens"],
            "total_tokens": used["total_tokens"],
        },
    }


async def _done(request: Request, text: str, calls: list[Call], services: Services) -> str:
    """The errand, done. A client who leaves before its end stops the model."""
    doing = asyncio.create_task(services.chat.errands.do(text, calls))
    leaving = asyncio.create_task(left(request))
    try:
        await asyncio.wait([doing, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Unavailable("The answer was stopped before its end.", code="stopped")
        return await doing
    finally:
        leaving.cancel()
        doing.cancel()
        await asyncio.wait([doing])


async def left(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
