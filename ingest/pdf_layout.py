"""Where words and drawn lines stand on a page of a PDF, as PDFium sees them. Units are points, y grows upwards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double, c_float
from dataclasses import dataclass
from math import pi

import pypdfium2
from pypdfium2 import raw

from ingest.bidi import as_read, backward_letters

WORD_GAP = 0.3
"""Of a letter's height: so far apart, two letters are of two words, even if no space is between them."""

_THIN = 3.0
"""A drawn rectangle that is not thicker is a line."""

_QUARTER = pi / 2
_SHORTEST_RULE = 4.0
_MOST_SEGMENTS = 4_000
"""What is drawn with more is a picture."""

_FLAT = 0.25
"""Of its width: a nameless letter that is not higher is a minus or a dash."""


@dataclass(slots=True)
class Word:
    """Letters without a gap, and the box around them."""

    text: str
    left: float
    right: float
    bottom: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line that is drawn: across at the height `at`, or upright at `at` from the left."""

    at: float
    start: float
    end: float


@dataclass(frozen=True)
class Layout:
    """A page's words and lines, turned so that most text runs from left to right; what runs otherwise is left out."""

    words: Sequence[Word]
    across: Sequence[Rule]
    upright: Sequence[Rule]


def page_layout(page: pypdfium2.PdfPage, *, only_drawn: bool = False) -> Layout:
    """The layout of a page; with `only_drawn` nothing of a page on which no lines are drawn."""
    segments = list(_segments(page))
    if only_drawn and not segments:
        return Layout((), (), ())
    text = page.get_textpage()
    try:
        letters = list(_letters(text))
    finally:
        text.close()
    turns = Counter(turn for letter, turn in letters if not letter.text.isspace())
    turn = max(turns, key=lambda one: turns[one], default=0)
    words = _words([_turned(letter, turn) for letter, own in letters if own == turn or letter.text.isspace()])
    across: list[Rule] = []
    upright: list[Rule] = []
    for start, end in segments:
        line = _turned(Word("", *sorted((start[0], end[0])), *sorted((start[1], end[1]))), turn)
        wide, high = line.right - line.left, line.height
        if high < 1 and wide >= _SHORTEST_RULE:
            across.append(Rule(line.middle, line.left, line.right))
        elif wide < 1 and high >= _SHORTEST_RULE:
            upright.append(Rule((line.left + line.right) / 2, line.bottom, line.top))
    return Layout(words, across, upright)


def _letters(text: pypdfium2.PdfTextPage) -> Iterator[tuple[Word, int]]:
    """The letters in the order of the file, each with the quarter turns that it is drawn at; a gap is a space."""
    box = raw.FS_RECTF()
    for at in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text, at)
        known = raw.FPDFText_GetLooseCharBox(text, at, byref(box))
        letter = chr(code) if 0 < code < 0x110000 else " "
        if code < 0x20 and code not in (0x02, 0x09, 0x0A, 0x0D):
            letter = "-" if is_flat(text, at) else " "
        if known and not letter.isspace():
            turn = round(-raw.FPDFText_GetCharAngle(text, at) / _QUARTER) % 4
            yield Word(letter, box.left, box.right, box.bottom, box.top), turn
        else:
            yield Word(" ", 0, 0, 0, 0), 0


def is_flat(text: pypdfium2.PdfTextPage, at: int) -> bool:
    """Whether a letter whose font does not tell what it is looks like a minus."""
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    known = raw.FPDFText_GetCharBox(text, at, byref(left), byref(right), byref(bottom), byref(top))
    return bool(known) and 0 < top.value - bottom.value < _FLAT * (right.value - left.value)


def _turned(box: Word, turn: int) -> Word:
    """A box on the page turned back by so many quarters."""
    left, right, bottom, top = box.left, box.right, box.bottom, box.top
    for _ in range(turn):
        left, right, bottom, top = bottom, top, -right, -left
    return Word(box.text, left, right, bottom, top)


def _words(letters: Sequence[Word]) -> list[Word]:
    found: list[Word] = []
    held: list[list[Word]] = []
    open_word: Word | None = None
    for letter in letters:
        if letter.text.isspace() or letter.height <= 0:
            open_word = None
            continue
        if open_word is None or _is_apart(open_word, letter):
            open_word = Word(letter.text, letter.left, letter.right, letter.bottom, letter.top)
            found.append(open_word)
            held.append([letter])
            continue
        open_word.text += letter.text
        held[-1].append(letter)
        open_word.left, open_word.right = (
            min(open_word.left, letter.left),
            max(open_word.right, letter.right),
        )
        open_word.bottom, open_word.top = (
            min(open_word.bottom, letter.bottom),
            max(open_word.top, letter.top),
        )
    for word, inside in zip(found, held, strict=True):
        if backward_letters(word.text):
            inside.sort(key=lambda letter: letter.left + letter.right)
            word.text = as_read([letter.text for letter in inside], backward=True)
    return found


def _is_apart(word: Word, letter: Word) -> bool:
    gap = max(letter.left - word.right, word.left - letter.right)
    return gap > WORD_GAP * letter.height or not word.bottom - 1 < letter.middle < word.top + 1


def _segments(page: pypdfium2.PdfPage) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The straight lines that are drawn, from point to point; a thin rectangle is one line, a wider one four."""
    left = _MOST_SEGMENTS
    for drawn in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=1):
        points = raw.FPDFPath_CountSegments(drawn)
        left -= points
        if left < 0:
            return
        edges = list(_edges(drawn, points))
        xs = [x for edge in edges for x, _ in edge]
        ys = [y for edge in edges for _, y in edge]
        if not xs:
            continue
        if max(ys) - min(ys) <= _THIN:
            middle = (max(ys) + min(ys)) / 2
            yield (min(xs), middle), (max(xs), middle)
        elif max(xs) - min(xs) <= _THIN:
            middle = (max(xs) + min(xs)) / 2
            yield (middle, min(ys)), (middle, max(ys))
        else:
            yield from edges


def _edges(
    drawn: pypdfium2.PdfObject, points: int
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    matrix = drawn.get_matrix()
    first = last = (0.0, 0.0)
    x, y = c_float(), c_float()
    for at in range(points):
        segment = raw.FPDFPath_GetPathSegment(drawn, at)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, byref(x), byref(y))
        point = matrix.on_point(x.value, y.value)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            first = point
        elif kind == raw.FPDF_SEGMENT_LINETO:
            yield last, point
        last = point
        if raw.FPDFPathSegment_GetClose(segment) and point != first:
            yield point, first
