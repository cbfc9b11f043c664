"""OpenAI's protocol: a knowledge base is a model, a turn is a chat completion."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from rag_service.api import errands, turns
from rag_service.api.completions import Completion, CompletionStream
from rag_service.api.deps import Chatter, ProtectedRoute, Svc, own_origin, still_valid
from rag_service.api.schemas.openai import CompletionRequest, ModelList, ModelOut
from rag_service.api.watching import unless_invalid
from rag_service.chat.asking import Ask
from rag_service.errors import NotFound

router = APIRouter(prefix="/v1", tags=["OpenAI's protocol"], route_class=ProtectedRoute)
_starting = APIRouter(tags=["OpenAI's protocol"], route_class=turns.TurnRoute)


@router.get("/models")
async def list_models(_: Chatter, services: Svc) -> ModelList:
    """The knowledge bases that you may ask, as models."""
    return ModelList(data=[ModelOut.of(base) for base in await services.chat.askable()])


@router.get("/models/{model}")
async def get_model(model: str, _: Chatter, services: Svc) -> ModelOut:
    """One of them."""
    for base in await services.chat.askable():
        if base.slug == model:
            return ModelOut.of(base)
    raise _no_model(model)


@_starting.post("/chat/completions", response_model=None)
async def complete_chat(
    request: Request, body: CompletionRequest, principal: Chatter, services: Svc
) -> Response | dict[str, Any]:
    """One turn: the last message is the question, those before it are its history, and system messages are wishes for
    the answer. Citations come as `annotations`, and with all that proves them in `rag`.

    What a chat program asks for itself, a title or tags, is done by the language model without the documents."""
    if body.is_errand:
        await get_model(body.model, principal, services)
        return await errands.complete(request, body, principal, services)
    ask = Ask(
        body.question,
        knowledge_base=body.model,
        channel="openai",
        history=body.history,
        instruction=body.instruction,
    )
    try:
        run = await turns.begin(
            request, services, lambda spend: services.chat.begin(principal, ask, spend=spend)
        )
    except NotFound as error:
        raise _no_model(body.model) from error
    completion = Completion(run, body, count=services.chat.count_tokens, site=own_origin(request))
    if body.stream:
        return CompletionStream(completion, send_seconds=services.settings.stream_send_seconds)
    valid = partial(still_valid, services, principal)
    with run.followed():
        return await unless_invalid(_whole(completion, request), valid, run.stop)


router.include_router(_starting)


async def _whole(completion: Completion, request: Request) -> dict[str, Any]:
    """The completion as one. A client who leaves before its end stops the turn."""
    answering = asyncio.create_task(completion.whole())
    leaving = asyncio.create_task(errands.left(request))
    try:
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        completion.run.stop()  # of no effect on a turn that has ended
        return await answering
    finally:
        answering.cancel()
        leaving.cancel()
        completion.run.stop()


def _no_model(model: str) -> NotFound:
    return NotFound(
        f"The model {model!r} does not exist, or is not for your key. GET /v1/models lists those you may ask.",
        code="model_not_found",
    )
