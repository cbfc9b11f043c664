"""Runs in memory: when one that nobody follows is given up; and how a process knows its neighbours."""

import asyncio
import os
import socket
from uuid import uuid4

import psutil
import pytest

from rag_service.chat.replica import _born, _is_gone
from rag_service.chat.runs import Run


async def test_the_time_of_grace_begins_anew_with_each_reader_who_leaves() -> None:
    abandoned: list[Run] = []
    run = Run(uuid4(), uuid4(), uuid4(), grace=3600, abandoned=abandoned.append)
    with run.followed():
        run.wait_for_followers(0)  # as one who asked before whether anybody follows elsewhere
    await elapsed(0.01)
    assert abandoned == []
    run.wait_for_followers(0)
    await elapsed(0.01)
    assert abandoned == [run]


async def elapsed(seconds: float) -> None:
    """Timers fire in order: behind this one, all that were due before it have."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()


def test_a_process_that_lives_is_not_taken_for_another_when_the_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"{socket.gethostname()}:{os.getpid()}:{_born(os.getpid())}:0"
    assert not _is_gone(name)
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: booted + 3600.5)
    assert not _is_gone(name)
    assert _is_gone(name.replace(str(_born(os.getpid())), "1"))
