"""Counting the tokens of a document's spans, without ever holding the tokens of all of it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from ingest.blocks import Block

TokenSpans = Callable[[Sequence[str]], list[list[tuple[int, int]]]]

LONGEST_TOKEN = 20
"""Characters. A tokenizer takes a word that it does not know, however long, for one token: it counts as more."""

AT_ONCE = 200_000
"""Characters that are tokenized in one go."""

LONGEST_PIECE = 20_000
"""Characters. A longer piece is tokenized in several, parted at a space."""


class TokenCounts:
    """Counts the tokens of any span of the document, having tokenized each block once, and of other texts.

    It goes through the document once, and keeps what lies between what was forgotten and what was asked for last.
    """

    def __init__(self, text: str, blocks: Sequence[Block], token_spans: TokenSpans) -> None:
        self._text = text
        self._token_spans = token_spans
        self._pieces = _pieces(text, blocks)
        self._starts: list[int] = []
        self._known = 0

    def count(self, start: int, end: int) -> int:
        """The tokens of a span. It begins behind what was forgotten."""
        while self._known < end:
            self._read_on()
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def fits(self, start: int, end: int, limit: int) -> bool:
        """Whether a span, however long, has at most `limit` tokens."""
        first = bisect_left(self._starts, start)
        while self._known < end and bisect_left(self._starts, end) - first <= limit:
            self._read_on()
        return bisect_left(self._starts, end) - bisect_left(self._starts, start) <= limit

    def cut(self, start: int, end: int, limit: int) -> int:
        """The offset behind at most `limit` tokens from `start`."""
        if self.fits(start, end, limit):
            return end
        return min(self._starts[bisect_left(self._starts, start) + limit], end)

    def length(self, text: str) -> int:
        """The tokens of any text."""
        return len(_token_starts(self._token_spans([text])[0])) if text else 0

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each of several texts."""
        return [len(_token_starts(tokens)) for tokens in self._token_spans(texts)]

    def is_longer(self, text: str, limit: int) -> bool:
        """Whether any text has more than `limit` tokens, each of which has a byte at least."""
        return len(text.encode()) > limit and self.length(text) > limit

    def forget_before(self, offset: int) -> None:
        """Nothing before `offset` is asked for any more."""
        at = bisect_left(self._starts, offset)
        if at > len(self._starts) // 2:
            del self._starts[:at]

    def _read_on(self) -> None:
        """Tokenize the next pieces."""
        spans: list[tuple[int, int]] = []
        taken = 0
        for start, end in self._pieces:
            spans.append((start, end))
            taken += end - start
            if taken >= AT_ONCE:
                break
        else:
            self._known = len(self._text)
        for (start, end), tokens in zip(
            spans, self._token_spans([self._text[start:end] for start, end in spans]), strict=True
        ):
            self._starts += [start + at for at in _token_starts(tokens)]
            self._known = max(self._known, end)


def _pieces(text: str, blocks: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """The spans that are tokenized each by itself: blocks, and what stands between them.

    What stands between blocks, such as a rule, is in a chunk with them: it counts as well.
    """
    for start, end in pairwise(_edges(text, blocks)):
        yield from (
            piece for piece in stretches(text, start, end, LONGEST_PIECE) if text[slice(*piece)].strip()
        )


def _edges(text: str, blocks: Sequence[Block]) -> Iterator[int]:
    at = 0
    yield at
    for edge in (edge for block in blocks for edge in (block.start, block.end)):
        if edge > at:
            at = edge
            yield at
    if at < len(text):
        yield len(text)


def stretches(text: str, start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """The span in parts of at most `longest` characters, parted behind a line, else behind a space."""
    while end - start > longest:
        limit = start + longest
        at = (
            text.rfind("\n", start + longest // 2, limit) + 1
            or text.rfind(" ", start + longest // 2, limit) + 1
        )
        yield start, at or limit
        start = at or limit
    if start < end:
        yield start, end


def _token_starts(tokens: Sequence[tuple[int, int]]) -> list[int]:
    return [at for start, end in tokens for at in range(start, end, LONGEST_TOKEN)]
