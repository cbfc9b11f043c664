"""The log file of one child: appended to, kept small, and readable by this user alone."""

import os
import re
import shutil
from pathlib import Path

from rag_service.logs import redact

MAX_BYTES = 20 * 1024 * 1024
_TAIL_BYTES = 8192
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class LogFile:
    """`path`, and one older `path.1`. `tail` shows only what was written since `mark`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marked = 0

    def open(self) -> int:
        """A descriptor to append to. The caller closes it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def mark(self) -> None:
        """What comes from now on is what `tail` shows."""
        self._marked = self._size()

    def rotate(self) -> None:
        """Move everything to `path.1` when there is too much of it.

        Copies and truncates instead of renaming, because a running child holds the file open; it
        appends, so it goes on at the new end. Lines written during the copy are lost.
        """
        if self._size() <= MAX_BYTES:
            return
        older = self.path.with_name(self.path.name + ".1")
        descriptor = os.open(older, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with self.path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
            shutil.copyfileobj(source, target)
        os.truncate(self.path, 0)

    def tail(self, lines: int = 5) -> str:
        """The last lines that are not empty, without colours and without what looks like a secret."""
        size = self._size()
        start = self._marked if self._marked <= size else 0
        start = max(start, size - _TAIL_BYTES)
        if start >= size:
            return ""
        with self.path.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
        shown = [line.rstrip() for line in _ESCAPES.sub("", text).splitlines() if line.strip()]
        return redact("\n".join(shown[-lines:]))

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0
