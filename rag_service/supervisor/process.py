"""A supervised operating-system process: started, watched, started again when it ends, stopped for good."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag_service.errors import ConfigurationError
from rag_service.supervisor.death import die_with_parent
from rag_service.supervisor.leftovers import forget, remember
from rag_service.supervisor.logfile import LogFile

Say = Callable[[str], None]
"""Shows one line to the person who started us."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
HEALTHY_SECONDS = 60.0
QUICK_DEATH_SECONDS = 5.0
_ROTATE_EVERY_SECONDS = 600.0
_KILL_SECONDS = 5.0


def quiet(_line: str) -> None:
    """A `Say` for callers with nobody to talk to."""


class Child:
    """One program that is kept running, in a session of its own, with its output in `logs/NAME.log`.

    The session keeps a Ctrl-C in the terminal away from it: only the supervisor gets that, and stops its
    children in order. `death_signal` is what the kernel sends it should the supervisor die first.

    `quick_deaths` counts how often in a row it has ended within its first seconds.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        state_dir: Path,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        death_signal: signal.Signals = signal.SIGKILL,
        say: Say = quiet,
    ) -> None:
        self.name = name
        self.quick_deaths = 0
        self._command = list(command)
        self._state_dir = state_dir
        self._env = dict(env) if env is not None else None
        self._pass_fds = tuple(pass_fds)
        self._death_signal = death_signal
        self._say = say
        self._log = LogFile(state_dir / "logs" / f"{name}.log")
        self._pause = FIRST_PAUSE_SECONDS
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the process that runs now; None between two of them."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    @property
    def log_path(self) -> Path:
        return self._log.path

    def log_tail(self, lines: int = 5) -> str:
        """The last lines that the present process wrote, or the last one if there is none now."""
        return self._log.tail(lines)

    async def start(self) -> None:
        """Start it, and from now on start it again whenever it ends, until `stop`.

        Raises:
            ConfigurationError: the program cannot be started at all.
        """
        self._stopping.clear()
        self._log.rotate()
        try:
            self._process = await self._spawn()
        except OSError as error:
            raise ConfigurationError(
                f"{self.name} cannot be started: {self._command[0]}: {error.strerror}."
            ) from error
        self._keeper = asyncio.create_task(self._keep_running(), name=f"keep {self.name} running")

    async def ask_to_stop(self, number: signal.Signals, timeout: float) -> bool:
        """Send `number` and wait; True if it has ended within `timeout` seconds. It is not started again."""
        if self._keeper is None:
            return True
        self._stopping.set()
        self._signal(number)
        done, _ = await asyncio.wait({self._keeper}, timeout=timeout)
        return bool(done)

    async def stop(self, number: signal.Signals, timeout: float) -> None:
        """Stop it for good: `number`, then, after `timeout` seconds, SIGKILL for it and its whole group."""
        if not await self.ask_to_stop(number, timeout):
            self.kill()
            await self.ask_to_stop(signal.SIGKILL, _KILL_SECONDS)
        self._keeper = None
        forget(self._state_dir, self.name)

    def kill(self) -> None:
        """SIGKILL for it and its group, at once. It is not started again."""
        self._stopping.set()
        if self.pid is not None:
            _kill_group(self.pid)

    async def _spawn(self) -> Process:
        self._log.mark()
        descriptor = self._log.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=DEVNULL,
                stdout=descriptor,
                stderr=STDOUT,
                env=self._env,
                pass_fds=self._pass_fds,
                start_new_session=True,
                preexec_fn=die_with_parent(self._death_signal),
            )
        finally:
            os.close(descriptor)
        try:
            remember(self._state_dir, self.name, process.pid)
        except OSError:  # a full disk, say: nobody would know of it, so it must not live
            _kill_group(process.pid)
            raise
        return process

    async def _keep_running(self) -> None:
        while True:
            born = time.monotonic()
            what = await self._end()
            if self._stopping.is_set():
                return
            pause = self._next_pause(time.monotonic() - born)
            self._say(f"{self.name} {what}; starting it again in {pause:g} s. Its log: {self.log_path}")
            if await self._stopping_within(pause):
                return
            await self._spawn_again()

    async def _end(self) -> str:
        """Wait for the process to end; what happened to it, in words."""
        if self._process is None:
            return "could not be started"
        code = await self._code(self._process)
        # Whatever it had started in its group would otherwise go on without it.
        _kill_group(self._process.pid)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    async def _code(self, process: Process) -> int:
        while True:
            try:
                return await asyncio.wait_for(process.wait(), _ROTATE_EVERY_SECONDS)
            except TimeoutError:
                self._log.rotate()

    def _next_pause(self, lived: float) -> float:
        self.quick_deaths = self.quick_deaths + 1 if lived < QUICK_DEATH_SECONDS else 0
        if lived >= HEALTHY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return pause

    async def _stopping_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def _spawn_again(self) -> None:
        self._process = None
        with contextlib.suppress(OSError):  # no memory, say: told in words by `_end`, and tried again
            self._process = await self._spawn()
        if self._stopping.is_set() and self._process is not None:
            _kill_group(self._process.pid)  # `stop` came while it was being born, and could not reach it

    def _signal(self, number: signal.Signals) -> None:
        # Not `Process.send_signal`: it may collect the exit code, which asyncio then waits for in vain.
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _kill_group(leader: int) -> None:
    # PermissionError: macOS says so of a group in which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
