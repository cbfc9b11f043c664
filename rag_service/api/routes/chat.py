"""Asking: one turn, streamed or whole."""

from contextlib import aclosing
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from rag_service.api import sse, turns
from rag_service.api.deps import (
    AskedOnce,
    ProtectedRoute,
    Svc,
    UntilAnswered,
    Visitor,
    address_of,
    still_valid,
)
from rag_service.api.schemas.chat import ChatAnswer, ChatRequest, CitationOut, SourceOut
from rag_service.api.schemas.traces import TurnTrace
from rag_service.api.watching import unless_invalid
from rag_service.chat.asking import Ask
from rag_service.chat.events import Citation, Delta, Done, Failed, Source, Sources, Traced
from rag_service.chat.runs import Run
from rag_service.db.repositories.filters import NO_FILTERS
from rag_service.db.repositories.idempotency import Repeated
from rag_service.errors import Forbidden, RagError, Unavailable, kind_of

router = APIRouter(tags=["chat"], route_class=ProtectedRoute)
_starting = APIRouter(tags=["chat"], route_class=turns.TurnRoute)


@_starting.post("/chat", response_model=ChatAnswer)
async def chat(
    body: ChatRequest,
    request: Request,
    principal: Visitor,
    services: Svc,
    once: AskedOnce,
    held: UntilAnswered,
) -> Response | ChatAnswer:
    """Ask a question. With `stream` (the default) the answer comes as server-sent events:

    `start`, `sources`, then `delta` and `citation`, and exactly one of `done` and `error` at the end. With an
    `Idempotency-Key` the same question can be sent again safely: it gets the first one's answer, as a stream or whole.

    Nothing is overwritten: `parent_message_id` begins a branch behind an earlier answer, which is also how a question
    is worded anew, and `regenerate_message_id` has a question answered once more.
    """
    if body.trace and not principal.may("admin"):
        raise Forbidden("How sources were found is told to admins only; ask without `trace`.")
    ask = Ask(
        body.message,
        conversation_id=body.conversation_id,
        parent_message_id=body.parent,
        regenerate_message_id=body.regenerate_message_id,
        knowledge_base=body.knowledge_base,
        filters=body.filters.to_filters() if body.filters else NO_FILTERS,
        trace=body.trace,
    )
    said = f"chat {body.model_dump_json(exclude={'stream'}, exclude_unset=True)}"
    try:
        run = await turns.begin(
            request,
            services,
            lambda spend: services.chat.begin(principal, ask, spend=spend, once=once, said=said),
        )
    except Repeated as repeated:
        held.enter_context(services.admission.limits.following(principal, address_of(request)))
        run = await services.chat.again(principal, repeated.answer)
    if body.stream:
        return sse.TurnStream(run, send_seconds=services.settings.stream_send_seconds)
    with run.followed():
        return await unless_invalid(_whole(run), partial(still_valid, services, principal), run.stop)


@router.get("/chat/{run_id}/events")
async def follow_chat(
    run_id: UUID,
    request: Request,
    principal: Visitor,
    services: Svc,
    held: UntilAnswered,
    last_event_id: Annotated[str, Header(pattern="^[0-9]{1,9}$")] = "0",
) -> Response:
    """Follow a turn of yours, from its first event or from the one behind `Last-Event-ID`. It may be under way, on
    any server, or have ended within the last hour."""
    held.enter_context(services.admission.limits.following(principal, address_of(request)))
    run = await services.chat.runs.follow(principal.subject, run_id)
    after = int(last_event_id)
    run.check(after)
    return sse.TurnStream(run, after=after, send_seconds=services.settings.stream_send_seconds)


@router.post("/chat/{run_id}/stop", status_code=204)
async def stop_chat(run_id: UUID, principal: Visitor, services: Svc) -> None:
    """Stop a turn of yours; what was said so far is kept, and its stream ends with `done`."""
    await services.chat.runs.stop(principal.subject, run_id)


router.include_router(_starting)


async def _whole(run: Run) -> ChatAnswer:
    """The turn as one answer. Raises what it ended in, if it ended in an error."""
    text: list[str] = []
    sources: list[Source] = []
    citations: list[Citation] = []
    trace: TurnTrace | None = None
    async with aclosing(run.follow()) as events:
        async for _, event in events:
            match event:
                case Sources(found):
                    sources = list(found)
                case Traced():
                    trace = TurnTrace.model_validate(event)
                case Delta(piece):
                    text.append(piece)
                case Citation():
                    citations.append(event)
                case Failed(code, detail, retryable):
                    kind = kind_of(code) or (Unavailable if retryable else RagError)
                    raise kind(detail, code=code)
                case Done():
                    return ChatAnswer(
                        conversation_id=run.conversation_id,
                        message_id=run.message_id,
                        answer="".join(text),
                        citations=[CitationOut.model_validate(citation) for citation in citations],
                        sources=[SourceOut.model_validate(source) for source in sources],
                        finish_reason=event.finish_reason,
                        model=event.model,
                        degraded=event.degraded,
                        unsupported=list(event.unsupported),
                        usage=event.usage,
                        timings=event.timings,
                        trace=trace,
                    )
    raise RagError("The turn ended without an end.")
