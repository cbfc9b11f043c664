"""What stored answers keep of a document, and how it is taken out of them when the document is erased."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Document, Message, StoredRun
from rag_service.db.repositories import summaries

MARKER = "[…]"
"""Stands in an answer where it rested on a document that was erased."""

MESSAGES_AT_ONCE = 200

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Quoted:
    """An answer's text, and the sources and citations in it that come from documents."""

    content: str
    sources: Records
    citations: Records

    def without(self, documents: Collection[str]) -> "Quoted":
        """The same with all that came of these documents (their ids) taken out.

        A claim that one of them is cited for becomes `MARKER`, and the spans of the others move along. Their
        entries stay, empty and marked `erased`, so that no other number changes its meaning.
        """
        spans = [tuple(one["answer_span"]) for one in self.citations if one["document_id"] in documents]
        gone = _merged(spans)
        return Quoted(
            _replaced(self.content, gone),
            [_emptied(one) if one["document_id"] in documents else one for one in self.sources],
            [_moved(one, gone, is_gone=one["document_id"] in documents) for one in self.citations],
        )


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _replaced(text: str, gone: Sequence[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in gone:
        parts += [text[at:start], MARKER]
        at = end
    return "".join([*parts, text[at:]])


def _moved(citation: dict[str, Any], gone: Sequence[tuple[int, int]], *, is_gone: bool) -> dict[str, Any]:
    start, end = citation["answer_span"]
    span = [_place(start, gone, is_end=False), _place(end, gone, is_end=True)]
    return {**(_emptied(citation) if is_gone else citation), "answer_span": span}


def _place(at: int, gone: Sequence[tuple[int, int]], *, is_end: bool) -> int:
    """Where a place of the old text is in the new one; one inside of what is gone is at the marker's edge."""
    shift = 0
    for start, end in gone:
        if at >= end:
            shift += len(MARKER) - (end - start)
        elif at > start:
            return start + shift + (len(MARKER) if is_end else 0)
    return at + shift


def _emptied(record: dict[str, Any]) -> dict[str, Any]:
    """An entry that keeps its shape, its number and its document's id, and nothing that the document said."""
    kept = {"number", "document_id", "chunk_id"}
    empty = {key: value if key in kept else _EMPTY.get(key) for key, value in record.items()}
    return {**empty, "erased": True}


_EMPTY: dict[str, Any] = {
    "filename": "",
    "title": "",
    "headings": [],
    "text": "",
    "context": "",
    "score": 0.0,
    "quote": "",
    "source_span": [0, 0],
}


class Quotes:
    """Stored answers, by the documents that they quote."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def forget(self, document_id: UUID) -> None:
        """Take what came of a document out of every stored answer."""
        mark = str(document_id)
        await self._forget_streams(mark)
        after: UUID | None = None
        conversations: set[UUID] = set()
        while messages := await self._next(mark, after):
            for message in messages:
                clean = Quoted(message.content, message.sources, message.citations).without({mark})
                message.content, message.sources = clean.content, clean.sources
                message.citations = clean.citations
                conversations.add(message.conversation_id)
            await self._session.flush()
            after = messages[-1].id
            for message in messages:  # of a document that is quoted much, not all at once in memory
                self._session.expunge(message)
        await summaries.forget(self._session, conversations)

    async def _forget_streams(self, document_id: str) -> None:
        """Streams of answers that ended, which could still be read again, told what came of the document; those of
        refusals told headings. One under way is cleaned by who ends it."""
        told = Message.sources.contains([{"document_id": document_id}]) | (Message.finish_reason == "refused")
        await self._session.execute(
            delete(StoredRun).where(StoredRun.message_id == Message.id, StoredRun.ended_at.is_not(None), told)
        )

    async def _next(self, document_id: str, after: UUID | None) -> list[Message]:
        statement = (
            select(Message)
            .where(Message.sources.contains([{"document_id": document_id}]))
            .order_by(Message.id)
            .limit(MESSAGES_AT_ONCE)
            .with_for_update()
        )
        if after is not None:
            statement = statement.where(Message.id > after)
        return list(await self._session.scalars(statement))

    async def gone(self, document_ids: Collection[UUID]) -> set[str]:
        """Those of the documents that were deleted.

        The others stay as they are until the caller's transaction ends: an answer that is saved in it is there to be
        found when one of them is erased later.
        """
        living = await self._session.scalars(
            select(Document.id)
            .where(Document.id.in_(document_ids), Document.deleted_at.is_(None))
            .order_by(Document.id)
            .with_for_update(read=True, key_share=True)
        )
        return {str(one) for one in set(document_ids) - set(living)}
