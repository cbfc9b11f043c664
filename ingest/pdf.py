"""PDF: its structure as the converter sees it, checked page by page against all the text that a page holds."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import regex

from ingest.assembly import Assembly
from ingest.blocks import Block, Extraction, first_heading, plain_blocks
from ingest.conversion import clean_title, converted
from ingest.converted import from_nodes, texts_of
from ingest.decoding import scrub
from ingest.hyphens import Written, rejoined
from ingest.limits import Budget, Limits
from ingest.media_types import PDF
from ingest.ocr import Languages
from ingest.pdf_backward import with_backward_pages
from ingest.pdf_glyphs import pages_with_whole_words
from ingest.pdf_ligatures import with_signs
from ingest.pdf_signs import with_minus
from ingest.pdf_table_places import with_tables
from ingest.scans import ScannedPages, read_pages

FEW_LETTERS = 50
"""A page with fewer may be a scan that was stamped or numbered: its picture is read as well."""

LEAST_SHARE = 0.9
"""Of a page's letters, at least so many are in its blocks; else the page is taken as it stands, without structure."""

FEWEST_PAGES, SHARE_OF_PAGES, LONGEST_HEAD = 4, 0.5, 200
"""A running head is short, and stands at the edge of half of the pages, if there are some."""

_DIGITS = re.compile(r"\d+")
_WITHIN_SENTENCE = regex.compile(r"(?<=[\p{L},;–-])\s*\n\s*\n(?=\p{Ll})")
"""A gap behind a line that goes on below it."""


def read_pdf(path: Path, data: bytes, name: str, limits: Limits) -> Extraction:
    """The text that the pages hold and, of pages that hold none, the text that they show.

    Raises:
        UnreadableDocument: it is damaged or encrypted.
    """
    half = replace(limits, seconds=limits.seconds / 2, cpu_seconds=limits.cpu_seconds / 2)
    for_tables = Budget(half)  # from now on: what the converter takes is taken off
    result = converted(data, PDF, name, structure=True)
    nodes = result.document["nodes"] if result.document else []
    whole = {int(page["page_number"]): str(page["content"]) for page in result.pages or []}
    texts = with_minus(path, list(with_signs(texts_of(nodes), whole)))
    written = Written.of("\n".join(said for _, said in texts))
    text, blocks = from_nodes(nodes, texts, written)
    count = int(result.metadata.get("page_count") or 0)
    text, blocks = _with_pages(text, blocks, _incomplete(text, blocks, whole, written))
    text, blocks = _with_pages(text, blocks, pages_with_whole_words(path, _by_page(text, blocks)))
    text, blocks = with_backward_pages(path, text, blocks)
    text, blocks, doubts = with_tables(path, text, blocks, for_tables)
    blocks = _without_running_heads(text, blocks)
    title = clean_title(result.metadata.get("title")) or clean_title(first_heading(text, blocks))
    letters = _letters(text, blocks)
    poor = [page for page in range(1, count + 1) if letters[page] < FEW_LETTERS]
    scanned = ScannedPages(Languages.of(limits.ocr_languages), Budget(limits))
    if poor and scanned.languages.present:
        read_pages(path, poor, scanned)
        better = {page: seen for page, seen in scanned.texts.items() if len(seen) > 2 * letters[page]}
        text, blocks = _with_pages(text, blocks, better)
    missing = sorted(set(poor) - {block.page for block in blocks})
    warnings = scanned.warnings(missing) if blocks else []
    return Extraction(text, blocks, PDF, title, count or None, doubts + warnings)


def _by_page(text: str, blocks: Iterable[Block]) -> dict[int, str]:
    return {
        page: "\n".join(text[block.start : block.end] for block in held)
        for page, held in groupby(blocks, lambda block: block.page or 1)
    }


def _letters(text: str, blocks: Iterable[Block]) -> Counter[int]:
    """How many letters and digits are in each page's blocks."""
    found = Counter[int]()
    for block in blocks:
        found[block.page or 1] += _count(text[block.start : block.end])
    return found


def _count(text: str) -> int:
    return sum(map(str.isalnum, text))


def _incomplete(
    text: str, blocks: Sequence[Block], pages: Mapping[int, str], written: Written
) -> dict[int, str]:
    """The pages of which the blocks hold too little, each with all of its text."""
    letters = _letters(text, blocks)
    whole = {
        page: scrub(rejoined(_WITHIN_SENTENCE.sub("\n", held.strip()), written))
        for page, held in pages.items()
    }
    return {page: held for page, held in whole.items() if letters[page] < LEAST_SHARE * _count(held)}


def _without_running_heads(text: str, blocks: Sequence[Block]) -> list[Block]:
    """The blocks but for those that, at a page's top or bottom, say the same on most pages but for numbers.

    A heading at the top of the first page stays: the heads of the others may repeat the title.
    """
    by_page = [list(found) for _, found in groupby(blocks, lambda block: block.page)]
    if len(by_page) < FEWEST_PAGES:
        return list(blocks)

    def said(block: Block) -> str:
        return _DIGITS.sub("#", text[block.start : block.end])

    edges = Counter(head for page in by_page for head in {said(page[0]), said(page[-1])})
    running = {
        head
        for head, pages in edges.items()
        if pages >= SHARE_OF_PAGES * len(by_page) and len(head) <= LONGEST_HEAD
    }
    return [
        block
        for page in by_page
        for block in page
        if block not in (page[0], page[-1])
        or said(block) not in running
        or (block is blocks[0] and block.kind == "heading")
    ]


def _with_pages(text: str, blocks: Sequence[Block], pages: dict[int, str]) -> tuple[str, list[Block]]:
    """The text with these pages in place of what was there of them."""
    if not pages:
        return text, list(blocks)
    held = {page: list(found) for page, found in groupby(blocks, lambda block: block.page or 1)}
    put = Assembly()
    for page in sorted({*held, *pages}):
        if page in pages:
            put.include(pages[page], plain_blocks(pages[page]), page=page)
            continue
        for block in held[page]:
            put.add(block.kind, text[block.start : block.end], block.level, page)
    return put.text, put.blocks
