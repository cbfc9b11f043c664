"""A text put together of pieces."""

from collections.abc import Sequence
from dataclasses import replace

from ingest.blocks import Block, Kind

_GAP = "\n\n"


class Assembly:
    """Collects pieces, each a block; a blank line stands between two."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.blocks: list[Block] = []

    @property
    def text(self) -> str:
        return _GAP.join(self._parts)

    def add(self, kind: Kind, piece: str, level: int = 0, page: int | None = None) -> None:
        """Append a piece, unless nothing stands in it."""
        piece = piece.rstrip().lstrip("\n" if kind == "code" else None)
        if piece:
            start = self._append(piece)
            self.blocks.append(Block(kind, start, start + len(piece), level, page))

    def include(self, text: str, blocks: Sequence[Block], *, below: int = 0, page: int | None = None) -> None:
        """Append a whole text with its blocks, its headings `below` levels deeper, on `page` if one is given."""
        if not blocks:
            return
        shift = self._append(text.rstrip())
        self.blocks += [
            replace(
                block,
                start=block.start + shift,
                end=block.end + shift,
                level=min(6, block.level + below) if block.level else 0,
                page=page,
            )
            for block in blocks
        ]

    def _append(self, piece: str) -> int:
        start = self._length
        self._parts.append(piece)
        self._length += len(piece) + len(_GAP)
        return start
