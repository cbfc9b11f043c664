"""The sources that a model is given: what was found, what stands next to it, and in which order it is read.

Each chunk stays a source of its own with its own number, so that a citation is as exact of a neighbour as of a hit.
What stands together in a document stands together in the prompt, and reads on from one source to the next.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from rag_service.chat.events import Source


def widened(
    sources: Sequence[Source],
    neighbours: Sequence[tuple[Source, UUID]],
    size: Callable[[Source], int],
    budget: int,
) -> list[Source]:
    """The sources, and behind them as many of the neighbours as fit into the budget with them.

    A neighbour comes with the id of the chunk that it stands next to; `size` and `budget` are in tokens.
    """
    numbers = {source.chunk_id: source.number for source in sources}
    found = list(sources)
    left = budget - sum(map(size, sources))
    for neighbour, of in neighbours:
        if of in numbers:
            numbered = replace(neighbour, number=len(found) + 1, widens=numbers[of])
            needed = size(numbered)
            if needed <= left:
                found.append(numbered)
                left -= needed
    return found


def found_itself(sources: Sequence[Source]) -> list[Source]:
    """Those that are no neighbours."""
    return [source for source in sources if source.widens is None]


def in_reading_order(sources: Sequence[Source]) -> list[Source]:
    """As they are read: chunks that follow one another stand so; the run with the best source comes first."""
    runs = sorted(_runs(sources), key=lambda run: min(source.number for source in run))
    return [source for run in runs for source in run]


def _runs(sources: Sequence[Source]) -> Iterator[list[Source]]:
    run: list[Source] = []
    for source in sorted(sources, key=lambda one: (str(one.document_id), one.ordinal, one.number)):
        follows = run and (source.document_id, source.ordinal) == (run[-1].document_id, run[-1].ordinal + 1)
        if run and not follows:
            yield run
            run = []
        run.append(source)
    if run:
        yield run
