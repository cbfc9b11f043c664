"""What a supervisor that was killed with -9 may have left running, and how the next one clears it away.

On Linux the kernel ends the children with their parent; these records are for the moment before that is
done, and for systems that cannot do it.
"""

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from rag_service.errors import ConfigurationError
from rag_service.private_files import write_private

_CLOCK_TOLERANCE_SECONDS = 2.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02


class _Record(BaseModel):
    pid: int
    create_time: float


def _record_file(state_dir: Path, name: str) -> Path:
    return state_dir / "run" / f"{name}.json"


def remember(state_dir: Path, name: str, pid: int) -> None:
    """Write down which process `name` is. Says nothing if it has already ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        record = _Record(pid=pid, create_time=psutil.Process(pid).create_time())
        write_private(_record_file(state_dir, name), record.model_dump_json())


def forget(state_dir: Path, name: str) -> None:
    """Remove the record: the process was stopped in good order."""
    _record_file(state_dir, name).unlink(missing_ok=True)


async def replace_leftover(state_dir: Path, name: str, number: signal.Signals, timeout: float) -> bool:
    """End the process that an earlier run recorded as `name`, and wait until it is gone.

    It gets `number` and `timeout` seconds, then SIGKILL. A process is touched only if both its pid and
    its time of creation match the record, so a pid that now belongs to somebody else is safe.

    Returns:
        True if there was one to end.

    Raises:
        ConfigurationError: it cannot be ended.
    """
    process = _recorded_process(state_dir, name)
    if process is not None:
        await end_process(process, (number, timeout))
    forget(state_dir, name)
    return process is not None


async def end_process(process: psutil.Process, *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal in turn, waiting its seconds for the process to end, and SIGKILL at last.

    Raises:
        ConfigurationError: it belongs to another user, or survives even SIGKILL.
    """
    for number, timeout in (*steps, (signal.SIGKILL, _KILL_SECONDS)):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        except psutil.AccessDenied as error:
            raise ConfigurationError(
                f"Process {process.pid}, left by an earlier `rag serve`, belongs to another user. Stop it first."
            ) from error
        if await _gone(process, timeout):
            return
    raise ConfigurationError(f"Process {process.pid}, left by an earlier `rag serve`, cannot be stopped.")


def _recorded_process(state_dir: Path, name: str) -> psutil.Process | None:
    try:
        record = _Record.model_validate_json(_record_file(state_dir, name).read_text())
        process = psutil.Process(record.pid)
        # The time of creation is derived from the boot time, which moves a little when the clock is set.
        same = abs(process.create_time() - record.create_time) < _CLOCK_TOLERANCE_SECONDS
    except (FileNotFoundError, ValidationError, psutil.NoSuchProcess):
        return None
    return process if same and not _has_ended(process) else None


def _has_ended(process: psutil.Process) -> bool:
    try:
        # A zombie has ended; only its parent, which may be nobody who cares, has not asked for its code.
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def _gone(process: psutil.Process, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not _has_ended(process):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
