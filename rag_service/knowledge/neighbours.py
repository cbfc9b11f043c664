"""What stands around the chunks that were found: an answer often begins in one chunk and goes on in the next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from rag_service.db.engine import Database
from rag_service.db.repositories.read_back import ReadableChunk, ReadBack
from rag_service.knowledge.selection import Hit

REACH = 2
"""Places before and behind a hit that are looked at, within its section."""


@dataclass(frozen=True)
class Neighbour:
    """A chunk of the section of a hit; `of` is the hit's chunk."""

    source: ReadableChunk
    of: UUID


async def neighbours(database: Database, knowledge_base_id: UUID, hits: Sequence[Hit]) -> list[Neighbour]:
    """What stands next to the hits and is none itself, the most useful first: the nearest, of the best hit; what
    follows before what precedes. Only chunks that may be quoted.

    Raises:
        DatabaseUnavailable
    """
    if not hits:
        return []
    chunks = [hit.source.chunk for hit in hits]
    found = await ReadBack(database).neighbours(knowledge_base_id, chunks, reach=REACH)
    return list(in_order(hits, found))


def in_order(hits: Sequence[Hit], found: Sequence[ReadableChunk]) -> Iterator[Neighbour]:
    """Those of `found` that stand in the section of a hit, each once."""
    by_place = {(one.chunk.version_id, one.chunk.ordinal): one for one in found}
    given = {hit.source.chunk.id for hit in hits}
    for distance in range(1, REACH + 1):
        for hit in hits:
            chunk = hit.source.chunk
            for place in (chunk.ordinal + distance, chunk.ordinal - distance):
                near = by_place.get((chunk.version_id, place))
                if near and near.chunk.id not in given and near.chunk.headings == chunk.headings:
                    given.add(near.chunk.id)
                    yield Neighbour(near, chunk.id)
