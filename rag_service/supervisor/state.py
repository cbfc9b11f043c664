"""The state folder: private to one user, and in the hands of one supervisor at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from rag_service.errors import ConfigurationError


@contextlib.contextmanager
def hold_state_folder(state_dir: Path) -> Iterator[None]:
    """Create the folder with mode 0700 where it is missing, and hold it for as long as the block runs.

    The hold is a lock that the kernel drops when this process ends, however it ends; children do not
    inherit it.

    Raises:
        ConfigurationError: another `rag serve` holds it, or this user cannot use the folder.
    """
    descriptor = _open_lock_file(state_dir)
    try:
        _lock(descriptor, state_dir)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        # The file stays: removing it would let two processes lock two files of the same name.
        os.close(descriptor)


def _open_lock_file(state_dir: Path) -> int:
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {state_dir} cannot be used: {error.strerror}. Correct that, or choose another "
            "with RAG_STATE_DIR."
        ) from error


def _lock(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        who = f" (pid {holder})" if holder.isdigit() else ""
        raise ConfigurationError(
            f"Another `rag serve`{who} uses {state_dir}. Stop it, or give this one its own folder with "
            "RAG_STATE_DIR."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {state_dir} is on a file system without locks ({error.strerror}). Choose one "
            "on a local disk with RAG_STATE_DIR."
        ) from error
