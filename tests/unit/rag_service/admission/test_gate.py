"""The gate in front of what computes: in order, never more than fit, and nobody waits long for nothing."""

import asyncio
import time

import pytest

from rag_service.admission import gate as gates
from rag_service.admission.bound import Bound
from rag_service.admission.gate import Gate
from rag_service.errors import Overloaded


async def test_a_burst_is_let_in_in_order_and_never_more_than_fit() -> None:
    gate, inside, most, order = Gate(2), 0, 0, list[int]()

    async def pass_through(number: int) -> None:
        nonlocal inside, most
        with await gate.enter():
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(pass_through(number) for number in range(30)))
    assert (most, inside, order) == (2, 0, list(range(30)))


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    gate = Gate(1)
    passage = await gate.enter()
    gate.leave(time.monotonic() - 100)  # the last one took long
    passage = await gate.enter()
    with pytest.raises(Overloaded) as refused:
        await gate.enter()
    assert refused.value.again_seconds >= 1
    passage.end()
    passage.end()  # ended again, nothing happens
    (await gate.enter()).end()


async def test_once_somebody_was_refused_few_wait_until_overload_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate(1)
    inside = await gate.enter()

    async def let_wait() -> int:
        """How many of fifty are told to wait, and not to come again."""
        tasks = [asyncio.create_task(gate.enter()) for _ in range(50)]
        await asyncio.sleep(0)
        count = sum(not task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return count

    # Of 50 ms each, so many are let in within a second; under overload the next one alone.
    assert [await let_wait() for _ in range(3)] == [20, 1, 1]
    monkeypatch.setattr(gates, "OVERLOAD_SECONDS", 0.0)
    assert await let_wait() == 20
    inside.end()


@pytest.mark.parametrize(("callers", "is_overload"), [(16, True), (8, False)])
async def test_a_queue_that_stays_long_is_overload_and_one_that_stays_short_is_none(
    callers: int, is_overload: bool
) -> None:
    gate = Gate(1)
    inside = await gate.enter()
    # Of 50 ms each: the last of sixteen waits for .8 s, and the last of eight for .4.
    waiting = [asyncio.create_task(gate.enter()) for _ in range(callers)]
    await asyncio.sleep(0)
    if gate._long_since is not None:
        gate._long_since -= 10
    late = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert late.done() == is_overload
    inside.end()
    for one in waiting:
        (await one).end()
    if is_overload:
        assert isinstance(late.exception(), Overloaded)
    else:
        (await late).end()
    (await gate.enter()).end()


async def test_who_is_on_the_way_is_counted_until_they_arrive() -> None:
    gate = Gate(1)
    await gate.enter()
    gate.leave(time.monotonic() - 100)  # the last one took so long that nobody may wait
    with gate.coming():
        with pytest.raises(Overloaded), gate.coming():
            pass
        passage = await gate.enter()  # is not refused for being on the way
    with pytest.raises(Overloaded), gate.coming():
        pass
    passage.end()
    with gate.coming():
        pass


async def test_who_gives_up_waiting_takes_no_place_with_them() -> None:
    gate = Gate(1)
    for _ in range(3):
        inside = await gate.enter()
        leaving, staying = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        inside.end()  # lets the first one in, which leaves at the same moment
        leaving.cancel()
        async with asyncio.timeout(1):
            (await staying).end()
        assert leaving.cancelled()


def test_a_bound_refuses_one_more_and_counts_each_leaving_once() -> None:
    bound = Bound(1, "things")
    place = bound.enter()
    with pytest.raises(Overloaded, match="1 things"):
        bound.enter()
    place.give_up()
    place.give_up()
    with bound.enter(), pytest.raises(Overloaded):
        bound.enter()


async def test_under_overload_fewer_are_let_in_where_they_only_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate(4)

    async def fit() -> int:
        """How many are let in at once."""
        tasks = [asyncio.create_task(gate.enter()) for _ in range(4)]
        await asyncio.sleep(0)
        count = sum(task.done() and not task.exception() for task in tasks)
        for task in tasks:
            task.cancel()  # those who wait; the others are inside
        await asyncio.gather(*tasks, return_exceptions=True)
        return count

    async def pass_through(seconds: float) -> int:
        """As many as fit, each of whom takes so long; how many that were."""
        count = await fit()
        for _ in range(count):
            gate.leave(time.monotonic() - seconds)
        return count

    await gate.enter()
    gate.leave(time.monotonic() - 0.04)  # alone
    assert [await pass_through(0.2) for _ in range(12)] == [4] * 12
    gate._refusal()
    crowded = [await pass_through(0.2) for _ in range(12)]
    assert (crowded[0], crowded[-1]) == (4, 1), crowded
    quick = [await pass_through(0.04) for _ in range(60)]
    assert quick[-1] == 4, quick
    crowded = [await pass_through(0.2) for _ in range(12)]
    monkeypatch.setattr(gates, "OVERLOAD_SECONDS", 0.0)
    ended = [await pass_through(0.2) for _ in range(2)]
    assert (crowded[-1], ended) == (1, [1, 4])
