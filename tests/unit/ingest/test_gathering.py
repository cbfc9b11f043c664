import asyncio
from collections.abc import Sequence

import pytest

from ingest.gathering import Gathered
from rag_service.errors import DatabaseUnavailable


class Doubling:
    """Answers with twice the number; refuses 13, fails on 0, and is away on 99."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def __call__(self, asked: Sequence[int]) -> Sequence[int | Exception]:
        self.calls.append(list(asked))
        await asyncio.sleep(0)
        if 99 in asked:
            raise DatabaseUnavailable("away")
        if 0 in asked:
            raise ZeroDivisionError
        return [LookupError("13") if one == 13 else 2 * one for one in asked]


async def test_what_comes_while_a_request_is_under_way_shares_the_next() -> None:
    together = Doubling()
    gathered = Gathered(together)
    first = asyncio.create_task(gathered(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert list(await asyncio.gather(first, gathered(2), gathered(3))) == [2, 4, 6]
    assert together.calls == [[1], [2, 3]]


async def test_one_that_is_refused_and_one_that_fails_do_not_harm_the_others() -> None:
    together = Doubling()
    gathered = Gathered(together)
    got = await asyncio.gather(gathered(1), gathered(13), gathered(0), return_exceptions=True)
    assert got[0] == 2
    assert isinstance(got[1], LookupError)
    assert isinstance(got[2], ZeroDivisionError)
    assert together.calls == [[1, 13, 0], [1], [13], [0]]


async def test_where_something_is_away_all_are_told_at_once() -> None:
    together = Doubling()
    gathered = Gathered(together)
    got = await asyncio.gather(gathered(1), gathered(99), return_exceptions=True)
    assert [type(one) for one in got] == [DatabaseUnavailable, DatabaseUnavailable]
    assert together.calls == [[1, 99]]
    with pytest.raises(DatabaseUnavailable):
        await gathered(99)
    assert await gathered(4) == 8


async def test_a_pause_lets_others_come() -> None:
    together, others = Doubling(), 1
    gathered = Gathered(together, pause=lambda: 0.2 if others else 0.0)
    first = asyncio.create_task(gathered(1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert list(await asyncio.gather(first, gathered(2))) == [2, 4]
    assert together.calls == [[1, 2]]
    others = 0
    assert await gathered(3) == 6
