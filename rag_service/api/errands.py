"""An errand of a chat program, as a chat completion of OpenAI's protocol."""

import asyncio
import time
from typing import Any

from fastapi import Request

from rag_service.api.deps import Services, address_of
from rag_service.api.schemas.openai import CompletionRequest
from rag_service.auth.principal import Principal
from rag_service.chat.errands import Done
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
    with services.admission.turns.enter():
        done = await _done(request, asked.question, services)
    used = done.call.input_tokens + done.call.output_tokens
    await services.admission.limits.spend_tokens(principal, address_of(request), used)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": done.text,
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
            "prompt_tokens": done.call.input_tokens,
            "completion_tokens": done.call.output_tokens,
            "total_tokens": used,
        },
    }


async def _done(request: Request, text: str, services: Services) -> Done:
    """The errand, done. A client who leaves before its end stops the model."""
    doing = asyncio.create_task(services.chat.errands.do(text))
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
