"""How turns end: one transaction saves the answer, the last of its events, and that the run has ended."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.chat import extractive
from rag_service.chat.events import Citation, Done, Failed, Source, from_json, to_json
from rag_service.chat.turn import Record, rounded
from rag_service.db.models import MessageState, StoredRun
from rag_service.db.repositories.conversations import Conversations
from rag_service.db.repositories.quotes import Quoted, Quotes
from rag_service.db.repositories.runs import Batch, Runs

logger = logging.getLogger(__name__)

UNSEEN = 1_000_000
"""How far behind the last stored event the end of an interrupted turn is numbered: readers may have seen later ones
than were stored, and must not take it for one of those."""


@dataclass(frozen=True)
class Ending:
    """The state that an answer is saved in, and the event that says so."""

    state: MessageState
    event: Done | Failed

    @property
    def code(self) -> str | None:
        return self.event.code if isinstance(self.event, Failed) else None


INTERRUPTED = Ending(
    "interrupted",
    Failed(
        "interrupted",
        "The server was stopped before the answer was whole; what was said of it is kept.",
        retryable=True,
    ),
)


class Endings:
    """Ends runs in the caller's transaction."""

    def __init__(self, session: AsyncSession, *, keep_quotes: bool) -> None:
        self._session = session
        self._runs = Runs(session)
        self._keep_quotes = keep_quotes

    async def save(
        self, run_id: UUID, message_id: UUID, owner: str, record: Record, ending: Ending, last: Batch
    ) -> None:
        """Save an answer. `last` are the events that are not stored yet, the terminal one behind all others."""
        # What quotes documents has to be told by its sources when one is erased, and a refusal has none.
        text = record.text if self._keep_quotes else record.text.removesuffix(record.topics)
        generated = record.model != extractive.NAME
        query = record.query or None
        told = Quoted(text, _plain(record.sources), _plain(record.citations), generated)
        if not self._keep_quotes:
            # A document that was deleted while it was being quoted must not come back with the answer.
            gone = await Quotes(self._session).gone({source.document_id for source in record.sources})
            told = told.without(gone)
            if gone:
                query = None
                await self._runs.forget_events(run_id)
                last = Batch(run_id, last.last, last.last, to_json([ending.event]))
        await Conversations(self._session, owner).finish(
            message_id,
            state=ending.state,
            content=told.content,
            sources=told.sources,
            citations=told.citations,
            retrieval_query=query,
            model=record.model or None,
            prompts=record.prompts,
            usage=record.usage,
            timings=rounded(record.timings),
            finish_reason=record.finish_reason if ending.state in ("complete", "stopped") else None,
            degraded=record.degraded,
            error_code=ending.code,
        )
        await self._runs.store([last])
        await self._runs.end(run_id)

    async def interrupt(self, run: StoredRun) -> None:
        """End a run whose process died: what it had told is its answer."""
        record, last = Record(model=""), 0
        for batch in await self._runs.events({run.id: 0}):
            try:
                events = from_json(batch.events)
            except (KeyError, ValueError):
                # Another version wrote them. What was told before them is kept, and the run must end all the same.
                logger.warning("events of a turn cannot be read", extra={"run_id": str(run.id)})
                last = max(last, batch.last)
                continue
            for event in events[max(0, last + 1 - batch.first) :]:
                record.note(event)
            last = max(last, batch.last)
        record.timings.clear()  # they would be those of the reading
        number = last + UNSEEN
        end = Batch(run.id, number, number, to_json([INTERRUPTED.event]))
        await self.save(run.id, run.message_id, run.owner, record, INTERRUPTED, end)


def _plain(records: Sequence[Source | Citation]) -> list[dict[str, Any]]:
    """Dataclasses as JSON knows them."""
    return [
        {key: str(value) if isinstance(value, UUID) else value for key, value in asdict(record).items()}
        for record in records
    ]
