"""A child that cannot outlive its parent, not even when the parent is killed with -9."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that makes the kernel send `number` to the child when this process ends.

    Returns None where the kernel offers no such thing (anything but Linux): there the pid files of
    `leftovers` let the next start find what was left.

    The kernel watches the *thread* that forks, so start children from a thread that lives as long as
    the process does, such as the main one. It forgets the signal when the child changes its user id.
    """
    if sys.platform != "linux":
        return None
    # All of this happens before the fork: between fork and exec, in a process that may have had
    # threads, nothing should load libraries or build objects that take locks.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    arguments = (_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    parent = os.getpid()

    def prepare() -> None:
        # The second test closes the race in which the parent died before the kernel was told.
        if prctl(*arguments) != 0 or os.getppid() != parent:
            os._exit(127)

    return prepare
