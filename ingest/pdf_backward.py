"""Pages of a PDF that are written from right to left: the converter gives their words, or their letters, in the order
in which they are seen. Where each letter stands tells in which they are read."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double, c_int, create_string_buffer
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pypdfium2
from pypdfium2 import raw

from ingest.assembly import Assembly
from ingest.bidi import as_read, backward_letters, is_backward
from ingest.blocks import Block
from ingest.decoding import scrub
from ingest.pdf_joiners import part
from ingest.pdf_pages import looked_at

_LEAST_UPRIGHT = 0.9
_SAME_LINE, _PARAGRAPH_GAP, _WORD_GAP, _OTHER_SIZE = 0.4, 1.9, 0.18, 0.1
"""Of the letters' size."""

# PDFium turns some brackets around, and some it does not.
_OPENED, _CLOSED = re.compile(r"(?<!\S)\)(?=\w)"), re.compile(r"(?<=\w)\((?=[\s.,;:!?،؛؟]|$)")


@dataclass(slots=True)
class _Letter:
    """A letter with its marks: where its baseline begins, its left and right edge, its font's size and name."""

    text: str
    x: float
    baseline: float
    left: float
    right: float
    size: float
    font: str

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2

    @property
    def width(self) -> float:
        return (self.right - self.left) / self.size


@dataclass
class _Line:
    letters: list[_Letter] = field(default_factory=list)

    @property
    def size(self) -> float:
        return max(letter.size for letter in self.letters)

    @property
    def baseline(self) -> float:
        return self.letters[0].baseline

    @property
    def left(self) -> float:
        return min(letter.left for letter in self.letters)

    @property
    def right(self) -> float:
        return max(letter.right for letter in self.letters)

    def words(self) -> Iterator[list[_Letter]]:
        """The line's words in scripts that run from right to left, their letters in that order."""
        word = list[_Letter]()
        for letter in sorted(self.letters, key=lambda letter: (-letter.x, -letter.middle)):
            is_apart = bool(word) and word[-1].x - letter.right > _WORD_GAP * self.size
            is_letter = backward_letters(letter.text) > 0
            if word and (is_apart or not is_letter):
                yield word
                word = []
            if is_letter:
                word.append(letter)
        if word:
            yield word

    def text(self, *, backward: bool) -> str:
        """What the line says, as part of a text that runs from right to left, or of one that does not."""
        ordered = sorted(self.letters, key=lambda letter: (letter.x, letter.middle))
        seen = list[str]()
        reach = ordered[0].x
        for letter in ordered:
            if letter.x - reach > _WORD_GAP * self.size and seen and seen[-1] != " ":
                seen.append(" ")
            if letter.text != " " or (seen and seen[-1] != " "):
                seen.append(letter.text)
            reach = max(reach, letter.right)
        said = as_read(seen, backward=backward).strip()
        return _CLOSED.sub(")", _OPENED.sub("(", said)) if backward else said


def with_backward_pages(path: Path, text: str, blocks: Sequence[Block]) -> tuple[str, list[Block]]:
    """The text with each page that is written from right to left as it is read; what was a heading stays one."""
    pages = [(page, list(held)) for page, held in groupby(blocks, lambda block: block.page)]
    said = {page: "\n".join(text[block.start : block.end] for block in held) for page, held in pages}
    backward = [page for page, words in said.items() if is_backward(words)]
    if not backward:
        return text, list(blocks)
    read = looked_at(path, [page or 1 for page in backward], _paragraphs)
    put = Assembly()
    for page, held in pages:
        if paragraphs := read.get(page or 1, []):
            headings = {
                _same(text[block.start : block.end]): block.level for block in held if block.kind == "heading"
            }
            for paragraph in paragraphs:
                level = headings.get(_same(paragraph), 0)
                put.add("heading" if level else "paragraph", paragraph, level, page)
            continue
        for block in held:
            put.add(block.kind, text[block.start : block.end], block.level, page)
    return put.text, put.blocks


def _same(text: str) -> frozenset[tuple[str, int]]:
    """The same for two texts of the same letters, in whatever order."""
    letters = (letter for letter in unicodedata.normalize("NFKC", text) if letter.isalnum())
    return frozenset(Counter(letters).items())


def _paragraphs(_: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage) -> list[str]:
    lines = list(_lines(text))
    part([word for line in lines for word in line.words()])
    left, right = (
        min((line.left for line in lines), default=0),
        max((line.right for line in lines), default=0),
    )
    paragraphs = list[list[str]]()
    above: _Line | None = None
    for line in lines:
        if above is None or _is_apart(above, line):
            paragraphs.append([])
        backward = line.left - left >= right - line.right - line.size
        paragraphs[-1].append(scrub(line.text(backward=backward)))
        above = line
    return ["\n".join(filter(None, held)) for held in paragraphs if any(held)]


def _is_apart(above: _Line, line: _Line) -> bool:
    larger = max(above.size, line.size)
    other_size = abs(above.size - line.size) > _OTHER_SIZE * larger
    return other_size or abs(above.baseline - line.baseline) > _PARAGRAPH_GAP * larger


def _lines(text: pypdfium2.PdfTextPage) -> Iterator[_Line]:
    """The letters in the order of the file, those on one height together; nothing of a page with much turned text."""
    count = text.count_chars()
    shown = [at for at in range(count) if not raw.FPDFText_IsGenerated(text, at)]
    upright = sum(abs(raw.FPDFText_GetCharAngle(text, at)) < 0.1 for at in shown)
    if upright < _LEAST_UPRIGHT * len(shown):
        return
    line = _Line()
    for letter in filter(None, (_letter(text, at) for at in shown)):
        if unicodedata.category(letter.text[0]) == "Mn" and _marked(line, letter):
            continue
        if line.letters and abs(line.baseline - letter.baseline) > _SAME_LINE * letter.size:
            yield line
            line = _Line()
        line.letters.append(letter)
    if line.letters:
        yield line


def _marked(line: _Line, mark: _Letter) -> bool:
    """Put a mark to the letter that it is drawn at, if there is one on the line."""
    near = [one for one in line.letters if one.left - 1 <= mark.middle <= one.right + 1 and one.text != " "]
    if near:
        min(near, key=lambda one: abs(one.middle - mark.middle)).text += mark.text
    return bool(near)


def _letter(text: pypdfium2.PdfTextPage, at: int) -> _Letter | None:
    code = raw.FPDFText_GetUnicode(text, at)
    box, x, y = raw.FS_RECTF(), c_double(), c_double()
    known = raw.FPDFText_GetCharOrigin(text, at, byref(x), byref(y))
    known = known and raw.FPDFText_GetLooseCharBox(text, at, byref(box))
    if not known or not 0 < code < 0x110000 or 0xD800 <= code < 0xE000 or box.top <= box.bottom:
        return None  # a gap that PDFium only guesses is not always where it puts it
    letter = unicodedata.normalize("NFKC", chr(code)) if 0xFB1D <= code <= 0xFEFC else chr(code)
    if letter.isspace() or (code < 0x20):
        letter = " "
    return _Letter(letter, x.value, y.value, box.left, box.right, _size(text, at), _font(text, at))


def _size(text: pypdfium2.PdfTextPage, at: int) -> float:
    matrix = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(text, at, byref(matrix))
    return float(raw.FPDFText_GetFontSize(text, at) * abs(matrix.d)) or 1.0


def _font(text: pypdfium2.PdfTextPage, at: int) -> str:
    name, flags = create_string_buffer(128), c_int()
    raw.FPDFText_GetFontInfo(text, at, name, len(name), byref(flags))
    return name.value.decode(errors="replace")
