"""Neighbours of what was found: numbered behind it, within the budget, read where they stand."""

from uuid import UUID, uuid4

from rag_service.chat.events import Source
from rag_service.chat.surroundings import found_itself, in_reading_order, widened

ONE, OTHER = UUID(int=1), UUID(int=2)


def source(number: int, document: UUID, ordinal: int) -> Source:
    return Source(number, document, uuid4(), "f", "t", [], None, 0.5, "some text", ordinal=ordinal)


def test_neighbours_come_behind_with_the_number_they_widen_while_there_is_room() -> None:
    found = [source(1, ONE, 4), source(2, OTHER, 0)]
    near = [(source(0, ONE, 5), found[0].chunk_id), (source(0, OTHER, 1), found[1].chunk_id)]
    strange = (source(0, ONE, 9), uuid4())
    everything = widened(found, [strange, *near], lambda _: 10, 40)
    assert [(one.number, one.widens) for one in everything] == [(1, None), (2, None), (3, 1), (4, 2)]
    assert widened(found, near, lambda _: 10, 39) == everything[:3]
    assert widened(found, near, lambda _: 30, 40) == found
    assert found_itself(everything) == found


def test_what_stands_together_is_read_together_and_the_best_run_first() -> None:
    sources = [
        source(1, OTHER, 7), source(2, ONE, 3), source(3, ONE, 9), source(4, ONE, 2), source(5, OTHER, 8)
    ]  # fmt: skip
    assert [one.number for one in in_reading_order(sources)] == [1, 5, 4, 2, 3]
    assert in_reading_order([]) == []
