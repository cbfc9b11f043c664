"""The folders that lexical indexes lie in: one a process, and whether what lies there is whole."""

import fcntl
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rag_service.errors import ConfigurationError

MOST_PROCESSES = 256
UNUSED_SECONDS = 7 * 86400
FOOTER_MAGIC = 1337
FOOTER_LONGEST = 4096


class OwnFolder:
    """A folder below `root` that no other process uses: `root/0`, or the next number that is free.

    It is held by a lock that the kernel drops when this process ends, however it ends. The next one finds there what
    this one has built.
    """

    def __init__(self, root: Path) -> None:
        """Raises ConfigurationError where `root` cannot be used."""
        self._root = root
        self._descriptor = -1
        self.path = root
        self.take()

    def take(self) -> None:
        """Take a folder, in place of the one held so far.

        Raises:
            ConfigurationError: the root cannot be used, or all are taken.
        """
        self.release()
        try:
            for number in range(MOST_PROCESSES):
                if (descriptor := _locked(self._root / str(number))) is not None:
                    self._descriptor, self.path = descriptor, self._root / str(number)
                    break
            else:
                raise ConfigurationError(f"{MOST_PROCESSES} processes use {self._root} already.")
            self._empty_unused()
        except OSError as error:
            raise ConfigurationError(
                f"The folder {self._root} for the lexical index cannot be used: {error.strerror}. Correct that, or "
                "choose another one, on a local disk, with RAG_LEXICAL_DIR."
            ) from error

    def is_held(self) -> bool:
        """Whether it is still there, and ours: somebody may have deleted it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), (self.path / "lock").stat())
        except OSError:
            return False

    def release(self) -> None:
        if self._descriptor >= 0:
            # The lock file stays: removing it would let two processes lock two files of the same name.
            os.close(self._descriptor)
            self._descriptor = -1

    def _empty_unused(self) -> None:
        """Free the disk of what processes left that have not been there for days."""
        for folder in self._root.iterdir():
            with suppress(OSError):
                if time.time() - (folder / "lock").stat().st_mtime < UNUSED_SECONDS:
                    continue
                if (descriptor := _locked(folder)) is not None:
                    for left in folder.iterdir():
                        if left.is_dir():
                            shutil.rmtree(left)
                    os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """The descriptor of the folder's lock; None where another one has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    os.utime(descriptor)
    return descriptor


def process_folders(root: Path) -> list[Path]:
    """The folders below `root` that processes use or have used; none where there is no root."""
    if not root.is_dir():
        return []
    return sorted((path for path in root.iterdir() if (path / "lock").exists()), key=lambda path: path.name)


@contextmanager
def while_unused(folder: Path) -> Iterator[bool]:
    """Whether no process uses this folder; if so, none does within the block."""
    with (folder / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def damaged_file(folder: Path) -> Path | None:
    """A file of a tantivy index whose content is not what its checksum says, if there is one.

    Tantivy writes the sum behind the content, and does not look at it again.

    Raises:
        OSError, ValueError, KeyError: there is no index here, or its list of segments is damaged.
    """
    return next((path for path in _files(folder) if not _is_whole(path)), None)


def file_sizes(folder: Path) -> dict[str, int]:
    """The size of each file of a tantivy index, in bytes; raises what `damaged_file` does."""
    return {str(path): path.stat().st_size for path in _files(folder)}


def has_shrunk(sizes: Mapping[str, int]) -> bool:
    """Whether a file is smaller than it was. One that is gone stays readable to who has it mapped.

    Every question asks: a `Path` would take three times as long.
    """
    for path, size in sizes.items():
        try:
            if os.stat(path).st_size < size:  # noqa: PTH116 - see above
                return True
        except FileNotFoundError:
            continue
    return False


def _files(folder: Path) -> list[Path]:
    """The files of the segments that an index lists: what a writer that was killed has left is no part of it."""
    listed = json.loads((folder / "meta.json").read_bytes())["segments"]
    segments = {segment["segment_id"].replace("-", ""): segment["deletes"] for segment in listed}
    found = []
    for path in sorted(folder.iterdir()):
        name, _, kind = path.name.partition(".")
        deletes = segments.get(name)
        is_old = kind.endswith(".del") and not (deletes and kind == f"{deletes['opstamp']}.del")
        if name in segments and not is_old:
            found.append(path)
    return found


def _is_whole(path: Path) -> bool:
    """Whether a file ends in `{"crc": …}`, that text's length and a constant, and the sum is right."""
    content = memoryview(path.read_bytes())
    length = int.from_bytes(content[-8:-4], "little")
    if int.from_bytes(content[-4:], "little") != FOOTER_MAGIC or not 0 < length < FOOTER_LONGEST:
        return False
    try:
        expected = json.loads(bytes(content[-8 - length : -8]))["crc"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(zlib.crc32(content[: -8 - length]) == expected)
