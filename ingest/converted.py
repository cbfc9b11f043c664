"""Text and blocks out of what the converter gives, with the traces of the conversion taken out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import regex

from ingest.blocks import Block, Kind, markdown_blocks
from ingest.decoding import scrub
from ingest.hyphens import Written, rejoined

PAGE_MARK = "\n\n\ue000{page_num}\ue001\n\n"
_PAGE_MARK_FOUND = re.compile("\\s*\ue000(\\d+)\ue001\\s*")
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?:<[^>]*>|(?:[^()\s]|\([^()]*\))*)(?:\s+\"[^\"]*\")?\)")
_EMPTY_LINK = re.compile(r"\[\s*\]\((?:<[^>]*>|[^)\s]*)(?:\s+\"[^\"]*\")?\)")
_SPACE = re.compile(r"(?<!\\)&#(?:9|10|32|160);")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{}~])")  # all of ASCII's signs but the `|` that parts a table's cells
_NODE_KINDS: dict[str, Kind] = {"heading": "heading", "list_item": "list", "table": "table", "code": "code"}
_SENTENCE_WITHIN = regex.compile(r"\p{L}{2}[.!?]\s+\p{Lu}|\.{4}")


def from_markdown(content: str) -> tuple[str, list[Block], int | None]:
    """The text, its blocks, and how many pages are marked in it, where pages are."""
    text, page_starts = _take_out_page_marks(scrub(content))
    text, blocks = _cleaned(text, markdown_blocks(text, page_starts))
    return text, blocks, len(page_starts) or None


def texts_of(nodes: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """The page of each node of the converter's tree, and its text as it comes."""
    page = 1
    for node in nodes:
        page = int(node.get("page") or page)
        yield page, _node_text(node["content"])


def from_nodes(
    nodes: Sequence[dict[str, Any]],
    texts: Iterable[tuple[int, str]] | None = None,
    written: Written | None = None,
) -> tuple[str, list[Block]]:
    """The text and blocks of a PDF from the converter's tree, which knows pages and headings.

    `texts` are better ones than its own, as `texts_of` gives them; `written` is how the document's words are.
    """
    parts: list[str] = []
    blocks: list[Block] = []
    offset = 0
    for node, (page, said) in zip(nodes, texts or texts_of(nodes), strict=True):
        content = node["content"]
        piece = scrub(rejoined(said, written)).strip()
        if content["node_type"] == "group" or not piece:
            continue
        kind = _NODE_KINDS.get(content["node_type"], "paragraph")
        if kind == "heading" and _is_running_text(piece):
            kind = "paragraph"
        level = min(6, int(content.get("level") or 1)) if kind == "heading" else 0
        blocks.append(Block(kind, offset, offset + len(piece), level, page))
        parts.append(piece)
        offset += len(piece) + 2
    return "\n\n".join(parts), blocks


def pages_without_text(blocks: Sequence[Block], pages: int | None) -> list[str]:
    """A warning that names the pages of which nothing was read."""
    missing = sorted(set(range(1, (pages or 0) + 1)) - {block.page or 0 for block in blocks})
    if not missing or not blocks:
        return []
    shown = ", ".join(map(str, missing[:20])) + (" …" if len(missing) > 20 else "")
    return [f"No text on page {shown}: if it shows text, it is a picture of it."]


def _take_out_page_marks(text: str) -> tuple[str, list[int]]:
    """The text without page marks, and the offset at which each page begins."""
    parts: list[str] = []
    starts: list[int] = []
    length = at = 0
    for mark in _PAGE_MARK_FOUND.finditer(text):
        piece = text[at : mark.start()] + ("\n\n" if mark.start() > 0 else "")
        parts.append(piece)
        length += len(piece)
        starts += [length] * (int(mark.group(1)) - len(starts))
        at = mark.end()
    parts.append(text[at:])
    return "".join(parts), starts


def _cleaned(text: str, blocks: Sequence[Block]) -> tuple[str, list[Block]]:
    """The text with each block cleaned, and the blocks where they then are."""
    parts: list[str] = []
    kept: list[Block] = []
    length = at = 0
    for block in blocks:
        gap, piece = text[at : block.start], cleaned(block.kind, text[block.start : block.end])
        start, length = length + len(gap), length + len(gap) + len(piece)
        parts += [gap, piece]
        if piece:
            kept.append(replace(block, start=start, end=length))
        at = block.end
    return "".join([*parts, text[at:]]), kept


def cleaned(kind: Kind, piece: str) -> str:
    """A block as it reads: pictures give way to what they show, signs are not escaped, tables not padded."""
    if kind == "code":
        return piece
    seen = _EMPTY_LINK.sub("", _PICTURE.sub(r"\1", _SPACE.sub(" ", piece)))
    plain = _ESCAPED.sub(r"\1", seen)
    return _narrow_table(plain) if kind == "table" else plain.strip()


def _narrow_table(table: str) -> str:
    """A table without padding and without rows in which nothing stands."""
    rows = [re.sub(r"[ \t]+", " ", re.sub("-{4,}", "---", row)) for row in table.split("\n")]
    return "\n".join([*rows[:2], *(row for row in rows[2:] if row.strip("| "))])


def _node_text(content: dict[str, Any]) -> str:
    if content["node_type"] != "table":
        return str(content.get("text") or "")
    grid = content["grid"]
    rows = [[""] * grid["cols"] for _ in range(grid["rows"])]
    for cell in grid["cells"]:
        rows[cell["row"]][cell["col"]] = re.sub(r"\s+", " ", cell["content"]).replace("|", "\\|").strip()
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines[:1], "|" + " --- |" * grid["cols"], *lines[1:]])


def _is_running_text(piece: str) -> bool:
    """Whether a PDF's line that is set like a heading reads like a piece of a sentence, or like several."""
    words = len(piece.split())
    first = next((char for char in piece if char.isalpha()), "")
    return (
        len(piece) > 200
        or piece[-1] in ",;-–—"
        or (words > 3 and first.islower())
        or (words > 5 and piece[-1] in ".।。")
        or _SENTENCE_WITHIN.search(piece) is not None
    )
