"""A breaker opens after failures in a row, lets one trial through after a rest, and loses no ticket."""

import pytest

from rag_service.chat.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(failures=3, rest_seconds=30, clock=clock)
    for _ in range(3):
        breaker.leave(breaker.enter(), failed=True)
    return breaker


@pytest.mark.parametrize("between", [False, None])
def test_only_failures_in_a_row_open_it(between: bool | None) -> None:
    breaker = Breaker(failures=3, clock=Clock())
    for failed in (True, True, between, True):
        breaker.leave(breaker.enter(), failed=failed)
    assert (breaker.enter() is None) is (between is None), "what was stopped tells nothing, either way"


def test_one_trial_at_a_time_after_the_rest() -> None:
    breaker = opened(clock := Clock())
    clock.now = 29.9
    assert breaker.enter() is None
    clock.now = 30.0
    trial = breaker.enter()
    assert trial is not None
    assert [breaker.enter() for _ in range(3)] == [None] * 3
    breaker.leave(trial, failed=True)
    clock.now = 59.9
    assert breaker.enter() is None, "a failed trial begins the rest anew"
    clock.now = 60.0
    assert breaker.enter() is not None


def test_a_trial_that_was_stopped_gives_its_place_back() -> None:
    breaker = opened(clock := Clock())
    clock.now = 31.0
    breaker.leave(breaker.enter(), failed=None)
    assert breaker.enter() is not None
    assert breaker.enter() is None


def test_the_first_word_of_a_trial_lets_others_through_and_the_next_failure_none() -> None:
    breaker = opened(clock := Clock())
    clock.now = 31.0
    trial = breaker.enter()
    breaker.answered()
    other = breaker.enter()
    assert other is not None
    breaker.leave(trial, failed=True)
    assert breaker.enter() is None
    breaker.leave(other, failed=False)
    assert breaker.enter() is not None


def test_a_call_from_before_that_ends_late_takes_no_trials_place() -> None:
    breaker = Breaker(failures=3, rest_seconds=30, clock=(clock := Clock()))
    early = breaker.enter()
    for _ in range(3):
        breaker.leave(breaker.enter(), failed=True)
    clock.now = 31.0
    assert breaker.enter() is not None
    breaker.leave(early, failed=None)
    assert breaker.enter() is None
