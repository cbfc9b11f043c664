"""Routes that start a turn: what it takes up is taken before, and given back however the turn ends."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack, aclosing
from typing import Any

from fastapi import Request, Response

from rag_service.admission.gate import Passage
from rag_service.api.deps import ProtectedRoute, Services, address_of, get_services
from rag_service.chat.events import Delta, Done, Sources
from rag_service.chat.runs import Run
from rag_service.chat.usage import Spend
from rag_service.knowledge.tokens import estimate_tokens


class TurnRoute(ProtectedRoute):
    """Takes a slot of the caller's before the body is read; `begin` hands it to the turn that is started."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_then_free(request: Request) -> Response:
            request.state.slot = None
            # First of all: to find out who is refused for lack of room costs more than to refuse.
            admission = get_services(request).admission
            admission.turns.check()
            with ExitStack() as coming:
                coming.enter_context(admission.gate.coming())
                request.state.coming = coming
                try:
                    return await handle(request)
                finally:
                    if request.state.slot is not None:
                        request.state.slot.free()

        return handle_then_free

    async def before_body(self, request: Request) -> None:
        limits = get_services(request).admission.limits
        request.state.slot = await limits.take_slot(request.state.principal, address_of(request))
        request.state.coming.close()  # a body that never comes is to keep no place


async def begin(request: Request, services: Services, start: Callable[[Spend], Awaitable[Run]]) -> Run:
    """The turn that `start` begins, once there is room for it; it is given what counts tokens that are used behind the
    answer. Behind a `TurnRoute`.

    Raises:
        Overloaded: there is none.
        What `start` raises: nothing is taken up then.
    """
    admission, principal, address = services.admission, request.state.principal, address_of(request)

    def spend(tokens: int) -> None:
        if admission.limits.limits_tokens(principal):
            admission.note(admission.limits.spend_tokens(principal, address, tokens))

    with ExitStack() as stack:
        stack.enter_context(admission.turns.enter())
        passage = stack.enter_context(await admission.gate.enter())
        run = await start(spend)
        held = stack.pop_all()
    slot, request.state.slot = request.state.slot, None
    request.state.place.give_up()  # from here on it counts as a turn, no longer as a request

    def has_ended(_: asyncio.Task[None]) -> None:
        held.close()
        slot.free()
        spend(tokens_spent(run))

    assert run.task is not None  # noqa: S101 - one that has begun has a task
    run.task.add_done_callback(has_ended)
    admission.note(_until_computed(run, passage, by_model=services.settings.has_model))
    return run


async def _until_computed(run: Run, passage: Passage, *, by_model: bool) -> None:
    """End the passage where nothing is left to compute: a model writes for itself, sentences are looked for here."""
    last: type[Sources] | type[Delta] = Sources if by_model else Delta
    async with aclosing(run.follow()) as events:
        async for _, event in events:
            if isinstance(event, last):
                break
    passage.end()


def tokens_spent(run: Run) -> int:
    """What a turn has used of models; of one that failed in mid-answer, estimated by what was sent and said."""
    events = run.events
    if events and isinstance(events[-1], Done):
        return int(events[-1].usage.get("total_tokens", 0))
    said = "".join(event.text for event in events if isinstance(event, Delta))
    read = " ".join(source.text for event in events if isinstance(event, Sources) for source in event.sources)
    return estimate_tokens(read) + estimate_tokens(said) if said else 0
