"""The gate in front of what computes: in order, never more than fit, and nobody waits long for nothing."""

import asyncio

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

    await asyncio.gather(*(pass_through(number) for number in range(50)))
    assert (most, inside, order) == (2, 0, list(range(50)))


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    gate = Gate(1)
    passage = await gate.enter()
    gate.leave(100.0)  # the last one took long
    passage = await gate.enter()
    with pytest.raises(Overloaded) as refused:
        await gate.enter()
    assert refused.value.again_seconds >= 1
    passage.end()
    passage.end()  # ended again, nothing happens
    (await gate.enter()).end()


async def test_a_queue_that_stands_is_cut_when_somebody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "STANDING_SECONDS", -1.0)
    gate = Gate(1)
    inside = await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(20)]
    await asyncio.sleep(0)
    refused = [task for task in waiting if task.done()]
    # Of 50 ms each, so many are let in within QUEUE_SECONDS.
    assert len(waiting) - len(refused) == gates.QUEUE_SECONDS // 0.05
    inside.end()
    for task in waiting:
        if task not in refused:
            (await task).end()
    assert all(isinstance(task.exception(), Overloaded) for task in refused)
    assert await asyncio.gather(gate.enter())


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


async def test_who_is_sent_away_while_leaving_gives_no_place_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(1)
    inside = await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(20)]
    await asyncio.sleep(0)
    monkeypatch.setattr(gates, "STANDING_SECONDS", -1.0)
    with pytest.raises(Overloaded):
        gate.check()  # sends the last ones away
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    monkeypatch.setattr(gates, "STANDING_SECONDS", 3600.0)
    late = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert not late.done()  # the only place is taken
    inside.end()
    (await late).end()
