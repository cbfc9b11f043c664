"""Tables of a PDF in place of what the converter made of them: lines of which no header tells what they are."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import pypdfium2

from ingest.assembly import Assembly
from ingest.blocks import Block
from ingest.limits import Budget
from ingest.pdf_layout import page_layout
from ingest.pdf_tables import Table, tables_of
from ingest.scans import numbers

FEWEST_NUMBERS = 2
"""A table without drawn lines has at least so many."""

_NUMBER = re.compile(r"\d[\d.,]*")
_RULE = re.compile(r"[|\s-]+$")


def with_tables(
    path: Path, text: str, blocks: Sequence[Block], budget: Budget
) -> tuple[str, list[Block], list[str]]:
    """The text with each page's tables as tables, and warnings.

    What stands in a table is looked for by its letters, whatever their order and the gaps between them: of a page on
    which they are not found together, everything stays as it was. So do the pages for which no time is left.
    """
    put, glued, skipped = Assembly(), list[int](), list[int]()
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return text, list(blocks), []
    try:
        for number, held in groupby(blocks, lambda block: block.page or 1):
            pieces = [_Piece(block, text[block.start : block.end]) for block in held]
            has_numbers = sum(len(_NUMBER.findall(piece.text)) for piece in pieces) >= FEWEST_NUMBERS
            if not budget.is_left():
                skipped += [number] * has_numbers
                found: list[Table] = []
            else:
                found = _tables(document, number, only_drawn=not has_numbers)
            for table in found:
                replaced = _replaced(pieces, table)
                if replaced is None and _runs_together(pieces, table):
                    glued.append(number)
                pieces = replaced or pieces
            for piece in pieces:
                put.add(piece.block.kind, piece.text, piece.block.level, piece.block.page)
    finally:
        document.close()
    return put.text, put.blocks, _warnings(sorted(set(glued)), skipped)


@dataclass(frozen=True)
class _Piece:
    """A block's text, or a part of it. Of the block only its kind, level and page count."""

    block: Block
    text: str


def _tables(document: pypdfium2.PdfDocument, number: int, *, only_drawn: bool) -> list[Table]:
    if number > len(document):
        return []
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return []
    try:
        return tables_of(page_layout(page, only_drawn=only_drawn))
    except pypdfium2.PdfiumError:
        return []
    finally:
        page.close()


def _warnings(glued: Sequence[int], skipped: Sequence[int]) -> list[str]:
    said = []
    if glued:
        said.append(
            f"In a table on page {numbers(glued)} numbers may run together: look at it before you rely on it."
        )
    if skipped:
        said.append(
            f"From page {skipped[0]} on, tables were left as they came: time ran out. Split the file, or raise "
            "RAG_EXTRACT_SECONDS and RAG_EXTRACT_CPU_SECONDS."
        )
    return said


def _letters(text: str) -> Iterator[tuple[int, str]]:
    """The letters and digits, each with where it stands; a ligature is its letters."""
    for at, char in enumerate(text):
        if char.isascii():
            if char.isalnum():
                yield at, char
            continue
        yield from ((at, letter) for letter in unicodedata.normalize("NFKC", char) if letter.isalnum())


def _replaced(pieces: Sequence[_Piece], table: Table) -> list[_Piece] | None:
    """The pieces with the table in place of the stretch that has its letters, and no other; None if there is none."""
    wanted = Counter(letter for word in table.words for _, letter in _letters(word.text))
    flat = [_flat(piece) for piece in pieces]
    held = [(number, at, letter) for number, piece in enumerate(flat) for at, letter in _letters(piece.text)]
    size = wanted.total()
    for start in _windows([letter for _, _, letter in held], wanted):
        (first, begin, _), (last, end, _) = held[start], held[start + size - 1]
        before, behind = _outside(flat[first].text, begin, flat[last].text, end + 1)
        if before is not None and behind is not None:
            return [
                *pieces[:first],
                _Piece(flat[first].block, before),
                _Piece(Block("table", 0, 0, 0, flat[first].block.page), table.markdown),
                _Piece(flat[last].block, behind),
                *pieces[last + 1 :],
            ]
    return None


def _flat(piece: _Piece) -> _Piece:
    """A table that the converter saw, as the lines that it was made of: it may hold what stands around the table."""
    if piece.block.kind != "table":
        return piece
    rows = (
        row.strip("|").replace("\\|", "\ue000").split("|")
        for row in piece.text.split("\n")
        if not _RULE.match(row)
    )
    lines = (" ".join(filter(None, map(str.strip, row))) for row in rows)
    text = "\n".join(filter(None, lines)).replace("\ue000", "|")
    return _Piece(replace(piece.block, kind="paragraph"), text)


def _windows(letters: Sequence[str], wanted: Counter[str]) -> Iterator[int]:
    """Where a stretch begins that has just the letters that are wanted, in any order."""
    size = wanted.total()
    if not 0 < size <= len(letters):
        return
    missing = Counter(wanted)
    missing.subtract(letters[:size])
    wrong = sum(count != 0 for count in missing.values())
    for start in range(len(letters) - size + 1):
        if wrong == 0:
            yield start
        if start + size == len(letters):
            return
        for letter, change in ((letters[start], 1), (letters[start + size], -1)):
            was = missing[letter]
            missing[letter] = was + change
            wrong += (was + change != 0) - (was != 0)


def _outside(first: str, begin: int, last: str, end: int) -> tuple[str | None, str | None]:
    """What stands before and behind a stretch, without the signs at its edges; None where it cuts a word."""
    while begin and not first[begin - 1].isspace():
        begin -= 1
        if first[begin].isalnum():
            return None, None
    while end < len(last) and not last[end].isspace():
        if last[end].isalnum():
            return None, None
        end += 1
    return first[:begin].rstrip(), last[end:].lstrip()


def _runs_together(pieces: Iterable[_Piece], table: Table) -> bool:
    """Whether numbers of the table are nowhere in the text as they stand in the table."""
    said = "\n".join(piece.text for piece in pieces)
    seen = {number for word in table.words for number in _NUMBER.findall(word.text)}
    return any(not re.search(rf"(?<!\d){re.escape(number)}(?!\d)", said) for number in seen)
