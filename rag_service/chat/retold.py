"""A turn told again from its saved answer, once its own events are forgotten."""

from typing import Any
from uuid import UUID

from rag_service.chat.events import Citation, Delta, Done, Event, Failed, Source, Sources, Start
from rag_service.chat.runs import Run
from rag_service.chat.support import is_claimed, unsupported
from rag_service.db.models import Message


def retold(run_id: UUID, message: Message) -> Run:
    """A run that has ended: the text in one piece, and the citations behind it."""
    run = Run(run_id, message.conversation_id, message.id, grace=0, abandoned=lambda _: None)
    events: list[Event] = [
        Start(run_id, message.conversation_id, message.id),
        Sources([Source(**_known(one)) for one in message.sources]),
    ]
    if message.content:
        events.append(Delta(message.content))
    events += [Citation(**_known(one)) for one in message.citations]
    for event in (*events, _end(message)):
        run.publish(event)
    return run


def _known(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "erased"}


def _end(message: Message) -> Done | Failed:
    if message.state not in ("complete", "stopped"):
        detail = "The answer was not finished; what was said of it is kept. Ask again under another key."
        return Failed(message.error_code or "interrupted", detail, retryable=False)
    claims = is_claimed(message.model, message.finish_reason)
    supported = [one["answer_span"] for one in message.citations if one.get("supported", True)]
    return Done(
        message_id=message.id,
        finish_reason=message.finish_reason or "stop",
        model=message.model or "",
        usage=message.usage,
        timings=message.timings,
        degraded=message.degraded,
        unsupported=unsupported(message.content, supported) if claims else [],
    )
