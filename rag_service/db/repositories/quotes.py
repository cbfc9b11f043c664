"""What stored answers keep of a document, and how it is taken out of them when the document is erased."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import regex
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import EXTRACTIVE, Document, Message, StoredRun
from rag_service.db.repositories import summaries

MARKER = "[…]"
"""Stands in an answer where it rested, or may have rested, on a document that was erased."""

MESSAGES_AT_ONCE = 200

Records = list[dict[str, Any]]
Spans = list[tuple[int, int]]

_MARK = regex.compile(r"\[(\d{1,3})\]")
_BEFORE = regex.compile(r"(?:[\s\p{Sentence_Terminal},;:)>|]|(?<!\S)(?:[-*+•]|\#{1,6})(?=\s))*+")
"""What a stretch keeps at its beginning: the stop of the claim before it, white space, a heading's or a list's mark."""
_NEXT = regex.compile(r"(?r)\n[^\S\n]*(?:[-*+•>]|\#{1,6})[^\S\n]+\Z")
"""What it keeps at its end: the mark of the list's item or heading that comes behind it."""
_LAST = regex.compile(r"(?r)[^\s\p{Sentence_Terminal}|]")
_SAYS = regex.compile(r"[\p{L}\p{M}\p{N}\p{So}\p{Sc}]")


@dataclass(frozen=True)
class Quoted:
    """An answer's text, and the sources and citations in it that come from documents.

    `generated` tells that a model worded it, so that it may say uncited what a source says.
    """

    content: str
    sources: Records
    citations: Records
    generated: bool

    def without(self, documents: Collection[str]) -> "Quoted":
        """The same with all that came of these documents (their ids) taken out.

        A claim that one of them is cited for becomes `MARKER`, and so does, where one was among a model's sources,
        every stretch that no other document is cited for; the spans of the others move along. Their entries stay,
        empty and marked `erased`, so that no other number changes its meaning.
        """
        gone = _merged(self._claims(documents))
        if self.generated and any(one["document_id"] in documents for one in self.sources):
            gone = self._unproven(gone)
        return Quoted(
            _replaced(self.content, gone),
            [_emptied(one) if one["document_id"] in documents else one for one in self.sources],
            [_moved(one, gone, is_gone=one["document_id"] in documents) for one in self.citations],
            self.generated,
        )

    def _claims(self, documents: Collection[str]) -> Spans:
        """What these documents are cited for."""
        return [tuple(one["answer_span"]) for one in self.citations if one["document_id"] in documents]

    def _unproven(self, gone: Spans) -> Spans:
        """`gone` and all else that no other document is cited for, but for the marks of citations."""
        numbers = {one["number"] for one in self.citations}
        marks = [mark.span() for mark in _MARK.finditer(self.content) if int(mark[1]) in numbers]
        living = {one["document_id"] for one in self.sources if not one.get("erased")}
        stays = bytearray(len(self.content))  # of each character whether it does
        for start, end in [*marks, *self._claims(living)]:
            stays[start:end] = b"\1" * (end - start)
        for start, end in gone:
            stays[start:end] = bytes(end - start)
        stretches = (match.span() for match in regex.finditer(rb"\0+", stays))
        return [core for start, end in stretches if (core := _core(self.content, start, end))]


def _core(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span of what a stretch of the text says, without what only stands around that; None where it says nothing."""
    if not _SAYS.search(text[start:end]):
        return None
    if before := _BEFORE.match(text, start, end):
        start = before.end()
    if behind := _NEXT.search(text, start, end):
        end = behind.start()
    if last := _LAST.search(text, start, end):
        end = last.end()
    return start, end


def _merged(spans: Spans) -> Spans:
    merged: Spans = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _replaced(text: str, gone: Spans) -> str:
    parts, at = [], 0
    for start, end in gone:
        parts += [text[at:start], MARKER]
        at = end
    return "".join([*parts, text[at:]])


def _moved(citation: dict[str, Any], gone: Spans, *, is_gone: bool) -> dict[str, Any]:
    start, end = citation["answer_span"]
    span = [_place(start, gone, is_end=False), _place(end, gone, is_end=True)]
    return {**(_emptied(citation) if is_gone else citation), "answer_span": span}


def _place(at: int, gone: Spans, *, is_end: bool) -> int:
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
                generated = message.model != EXTRACTIVE
                quoted = Quoted(message.content, message.sources, message.citations, generated)
                clean = quoted.without({mark})
                message.content, message.sources = clean.content, clean.sources
                message.citations = clean.citations
                message.retrieval_query = None  # a model may have put in what an answer before said
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
