"""How the reader hands over what it read: in two files without names, so that nothing large is escaped or held twice.

One is the text in UTF-8; the other has a line a block, its five fields. Both are there before the reader is, and are
gone when nobody holds them: however reader and worker end, nothing of a document is left behind.
"""

import os
from collections.abc import Sequence
from typing import IO

from ingest.blocks import KINDS, Block
from rag_service.errors import UnreadableDocument

Files = tuple[IO[bytes], IO[bytes]]
"""The text, and the blocks."""

_STEP = 1_000_000
"""Characters written at once: the text is never there a second time as bytes."""


def write(text: str, blocks: Sequence[Block], files: Files, name: str, most_mb: int) -> None:
    """Write down a text and its blocks in place of what was there.

    Raises:
        UnreadableDocument: the text has more than `most_mb`.
    """
    left = most_mb * 1024 * 1024
    for file in files:
        file.seek(0)
        file.truncate()
    for at in range(0, len(text), _STEP):
        left -= files[0].write(text[at : at + _STEP].encode())
        if left < 0:
            raise UnreadableDocument(
                f"{name} holds more than {most_mb} MB of text (RAG_EXTRACT_TEXT_MB): split it into smaller files.",
                code="too_much_text",
            )
    for block in blocks:
        line = f"{block.kind} {block.start} {block.end} {block.level} {block.page or 0}\n"
        files[1].write(line.encode())
    for file in files:
        file.flush()


def read(files: Files) -> tuple[str, list[Block]]:
    """What `write` wrote."""
    for file in files:
        file.seek(0)
    text = str(files[0].read(), "utf-8")
    return text, [_block(line.decode()) for line in files[1]]


def forget(files: Files) -> None:
    """Give back the space."""
    for file in files:
        os.ftruncate(file.fileno(), 0)


def _block(line: str) -> Block:
    kind, *numbers = line.split()
    start, end, level, page = map(int, numbers)
    return Block(KINDS[kind], start, end, level, page or None)
