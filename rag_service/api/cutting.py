"""Where an answer ends before its end: at a string that the client named, or at a number of tokens."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Literal

from rag_service.chat.growing import Growing

_HALF_A_MARK = re.compile(r"\s*\[\d{0,3}\Z")


class Cut:
    """Takes an answer's pieces and gives what of them may be shown.

    What could be the beginning of a stop string is held back until it is known. `reason` tells why nothing more comes,
    `text` what was shown.
    """

    def __init__(self, stops: Sequence[str], limit: int | None, count: Callable[[str], int]) -> None:
        self._shown = Growing()
        self.reason: Literal["stop", "length"] | None = None
        self._stops = [stop for stop in stops if stop]
        self._limit = limit
        self._most = 0
        self._count = count
        self._held = ""

    @property
    def text(self) -> str:
        return str(self._shown)

    def feed(self, piece: str) -> str:
        """What the piece settles."""
        if self.reason is not None:
            return ""
        self._held += piece
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.reason = "stop"
        settled = min(found) if found else len(self._held) - self._begun()
        shown, self._held = self._held[:settled], self._held[settled:]
        return self._show(shown)

    def finish(self) -> str:
        """What was still held back when the answer ended."""
        held, self._held = self._held, ""
        return self._show(held) if self.reason is None else ""

    def _begun(self) -> int:
        """How many characters at the end may be the beginning of a stop string."""
        lengths = (
            length
            for stop in self._stops
            for length in range(1, min(len(stop), len(self._held) + 1))
            if self._held.endswith(stop[:length])
        )
        return max(lengths, default=0)

    def _show(self, text: str) -> str:
        if self._limit is not None and text:
            text = self._fitting(text, self._limit)
        self._shown.add(text)
        return text

    def _fitting(self, text: str, limit: int) -> str:
        """The longest beginning of the text with which the answer has at most `limit` tokens."""
        self._most += self._count(text)  # pieces counted one by one are never fewer than together
        if self._most <= limit:
            return text
        self._most = self._count(self.text + text)
        if self._most <= limit:
            return text
        self.reason = "length"
        sizes = range(len(text) + 1)
        end = bisect_right(sizes, limit, key=lambda size: self._count(self.text + text[:size])) - 1
        return _HALF_A_MARK.sub("", text[:end])
