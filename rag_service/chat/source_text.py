"""Chunks as the sources of an answer, and sources as the text of a prompt."""

import re
from collections.abc import Sequence

from rag_service.chat.events import Source
from rag_service.db.repositories.read_back import ReadableChunk


def source_of(number: int, found: ReadableChunk, score: float) -> Source:
    chunk = found.chunk
    return Source(
        number=number,
        document_id=found.document_id,
        chunk_id=chunk.id,
        filename=found.filename,
        title=found.title,
        headings=chunk.headings,
        page=chunk.page,
        score=round(score, 4),
        text=chunk.text,
        context=chunk.context,
        ordinal=chunk.ordinal,
    )


_TAG = re.compile(r"<(?=\s*/?\s*(?:source|instruction)\b)", re.IGNORECASE)


def as_text(sources: Sequence[Source]) -> str:
    """The sources for a prompt, each between tags that nothing inside it can close."""
    parts = []
    for source in sources:
        title = inside_tags(source.title).replace('"', "'")
        place = f' page="{source.page}"' if source.page else ""
        lines = [" > ".join(source.headings), source.context, source.text]
        body = inside_tags("\n".join(line for line in lines if line))
        parts.append(f'<source number="{source.number}" title="{title}"{place}>\n{body}\n</source>')
    return "\n\n".join(parts)


def inside_tags(text: str) -> str:
    """A text that can neither open nor close the tags it stands between."""
    return _TAG.sub("(", text)
