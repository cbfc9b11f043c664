"""Original files, kept as they came, under names that the server makes."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from rag_service.errors import StorageFull, TooLarge

_FULL = {errno.ENOSPC, errno.EDQUOT}


_UPLOAD = "The server's disk is full: nothing of this upload was kept. Make room and send it again."


@contextmanager
def room_needed(detail: str = _UPLOAD) -> Iterator[None]:
    """Raises StorageFull, saying `detail`, where what is written within finds no room on the disk, or no quota."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(detail) from error


@dataclass(frozen=True)
class StoredBlob:
    """A file in the store: its name there, SHA-256 in hex, and size in bytes."""

    name: str
    sha256: str
    size: int


class BlobStore:
    """A folder of files, two levels deep. A name is random: nothing of the caller's is ever a path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, chunks: AsyncIterator[bytes], *, limit: int) -> StoredBlob:
        """Write a stream to disk while hashing and counting; whole and synced, or not there at all.

        Raises:
            TooLarge: more than `limit` bytes came; nothing is kept.
            StorageFull: the disk is full; nothing is kept.
        """
        with room_needed():
            return await self._put(chunks, limit)

    async def _put(self, chunks: AsyncIterator[bytes], limit: int) -> StoredBlob:
        name = uuid4().hex
        final = self.path(name)
        temporary = final.with_suffix(".part")
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(_new_file, temporary)
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise TooLarge(
                        f"The file is larger than the limit of {limit:,} bytes (RAG_MAX_FILE_BYTES)."
                    )
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(_finish, file, final)
        finally:
            # First: closing writes what is buffered, and fails again where there is no room for it.
            temporary.unlink(missing_ok=True)
            file.close()
        return StoredBlob(name, digest.hexdigest(), size)

    def path(self, name: str) -> Path:
        """Where a stored file lies."""
        return self._root / name[:2] / name

    def files(self) -> Iterator[Path]:
        """Every file that lies here, also what is just being written. Listed a folder at a time."""
        for folder in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            yield from (path for path in sorted(folder.iterdir()) if path.is_file())

    def delete(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)


def _new_file(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("xb")


def _finish(file: BinaryIO, final: Path) -> None:
    """Have it on the disk before it has its name."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    Path(file.name).rename(final)


async def read_file(path: Path, size: int = 1024 * 1024) -> AsyncIterator[bytes]:
    """A local file as a stream of blocks."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while block := await asyncio.to_thread(file.read, size):
            yield block
    finally:
        file.close()
