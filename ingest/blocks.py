"""Text as a sequence of blocks: headings, paragraphs, lists, tables, code; each a span of the text."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from markdown_it import MarkdownIt
from markdown_it.token import Token

Kind = Literal["heading", "paragraph", "list", "table", "code"]
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}


@dataclass(frozen=True, slots=True)
class Block:
    """`text[start:end]` of the document. `level` is a heading's, 1 to 6; `page` counts from 1."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    page: int | None = None


@dataclass(frozen=True)
class Extraction:
    """What was read from a file: its text, and the blocks and pages in it."""

    text: str
    blocks: Sequence[Block]
    media_type: str
    title: str | None = None
    pages: int | None = None
    warnings: Sequence[str] = ()


_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}
_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)(?:\n|\Z)", re.DOTALL)
_HEADING_MARKS = re.compile(r"^#{1,6}(?:[ \t]+|$)|[ \t]+#+[ \t]*$|\n[=-]+[ \t]*$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"`+|\*{1,3}(?=\S)|(?<=\S)\*{1,3}|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)")


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Only the structure is wanted; what is inside a block stays as it was written.
    return MarkdownIt("commonmark").enable("table").disable(["inline", "reference"])


def markdown_blocks(text: str, page_starts: Sequence[int] = ()) -> list[Block]:
    """The blocks of a Markdown text. `page_starts` holds the offset at which each page begins."""
    front = _FRONT_MATTER.match(text)
    skipped = front.end() if front else 0
    lines = [
        skipped,
        *(skipped + match.end() for match in re.finditer("\r\n?|\n", text[skipped:])),
        len(text),
    ]
    blocks = [Block("code", 0, len(text[:skipped].rstrip()))] if front else []
    for token in _top_level(_parser().parse(text[skipped:])):
        first, behind = token.map or (0, 0)
        start, end = lines[first], lines[min(behind, len(lines) - 1)]
        blocks += _trimmed(text, start, end, _KINDS.get(token.type, "paragraph"), token)
    return [_on_page(block, page_starts) for block in blocks]


def _top_level(tokens: Sequence[Token]) -> Iterator[Token]:
    return (
        token
        for token in tokens
        if token.level == 0 and token.map and token.nesting >= 0 and token.type != "hr"
    )


def _trimmed(text: str, start: int, end: int, kind: Kind, token: Token | None = None) -> list[Block]:
    piece = text[start:end]
    if not piece.strip():
        return []
    # A block of code keeps the indentation of its first line.
    begin = start + len(piece) - len(piece.lstrip("\n" if kind == "code" else None))
    level = int(token.tag[1]) if token is not None and kind == "heading" else 0
    return [Block(kind, begin, start + len(piece.rstrip()), level)]


def _on_page(block: Block, page_starts: Sequence[int]) -> Block:
    if not page_starts:
        return block
    page = max(1, bisect_right(page_starts, block.start))
    return Block(block.kind, block.start, block.end, block.level, page)


def plain_blocks(text: str) -> list[Block]:
    """The paragraphs of a plain text: what stands between blank lines."""
    blocks: list[Block] = []
    start = 0
    for match in re.finditer(r"\n[ \t]*\n\s*|\Z", text):
        blocks += _trimmed(text, start, match.start(), "paragraph")
        start = match.end()
    return blocks


def code_block(text: str) -> list[Block]:
    """All of the text as one block of code."""
    return _trimmed(text, 0, len(text), "code")


def heading_text(raw: str) -> str:
    """The words of a heading block, without the marks that made it one."""
    plain = _LINK.sub(r"\1", _HEADING_MARKS.sub("", raw.strip()))
    return re.sub(r"\s+", " ", _EMPHASIS.sub("", plain)).strip()


def first_heading(text: str, blocks: Sequence[Block]) -> str | None:
    """The words of the first heading, if there is one."""
    first = next((block for block in blocks if block.kind == "heading"), None)
    return heading_text(text[first.start : first.end]) if first else None
