"""Which parts of a text may be quoted as an answer: sentences, list items and a table's rows; code where it is asked
for; no heading, no question, no table's header or rule."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest

import regex

from rag_service.knowledge.sentences import sentence_spans

Span = tuple[int, int]
"""[start, end) characters of a text."""

_NO_ANSWER = regex.compile(r"^#{1,6}\s|[?？؟:：][\"'”’»)\]*_`]*$")
_TABLE_RULE = re.compile(r"^\|?[\s:|-]+\|?$")
_BARE_LINE = regex.compile(
    r"(?![-*+•‣◦▪●|>]|\(?\w{1,3}[.)]\s)[^\n\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Sentence_Terminal}]{1,80}"
)
"""A short line that is no list item and has no stop. Some scripts have no stops."""
_SAID = regex.compile(r"\p{Sentence_Terminal}[\"'”’»)\]]*\Z|^.{80}", regex.DOTALL)

_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})(?P<info>[^\n`]*)$", re.MULTILINE)
_DRAWN = r"[ \t]*(?=[^\n]*[-=]{3})[-=+|: \t]{3,}$"
_DRAWN_LINE = re.compile(f"^{_DRAWN}", re.MULTILINE)
"""What underlines a title or a table's header."""
_UNDERLINED = re.compile(rf"[ \t]*\n{_DRAWN}", re.MULTILINE)

_ASKS_FOR_CODE = regex.compile(
    r"`|(?<!\w)--?[a-z]|\w_\w|\w\(\)"
    r"|\b(?:commands?|codes?|curl|scripts?|snippets?|syntax|examples?|json|yaml|sql|shell|terminal|cli|flags?|requests?"
    r"|comandos?|código|ejemplo|commandes?|exemple|befehle?|beispiel|komut|kod|örnek|lệnh|mã|ví dụ)\b"
    r"|কমান্ড|কোড|উদাহরণ|कमांड|आदेश|कोड|उदाहरण|أمر|أوامر|كود|مثال|команд|код|пример|命令|代码|示例|例子|คำสั่ง|โค้ด|ตัวอย่าง",
    regex.IGNORECASE,
)


def asks_for_code(question: str) -> bool:
    """Whether a command or a piece of code may be what a question wants to see."""
    return _ASKS_FOR_CODE.search(question) is not None


def as_inline(code: str) -> str:
    """A block of code on one line between backticks, without its fences."""
    inside = re.sub(r"\s+", " ", _FENCE.sub("", code)).strip()
    longest = max(map(len, re.findall("`+", inside)), default=0)
    ticks, room = "`" * (longest + 1), " " if longest else ""
    return f"{ticks}{room}{inside}{room}{ticks}" if inside else ""


def parts(text: str) -> tuple[list[Span], set[Span]]:
    """The sentences of a text in order, and which of them are blocks of code, each of which is one, fences included.

    A line that is drawn under a title or a table's header belongs to no sentence.
    """
    code = _code_blocks(text)
    spans: list[Span] = []
    begin = 0
    for start, end in [*code, (len(text), len(text))]:
        spans += _sentences(text, begin, start)
        if start < end:
            spans.append((start, end))
        begin = end
    return spans, set(code)


def _sentences(text: str, begin: int, end: int) -> Iterator[Span]:
    for first, last in sentence_spans(text[begin:end]):
        start = begin + first
        if text.startswith("|", start):
            yield start, begin + last
            continue
        for line in [*_DRAWN_LINE.finditer(text, start, begin + last), None]:
            stop = line.start() if line else begin + last
            if piece := text[start:stop].strip():
                at = text.index(piece, start)
                yield at, at + len(piece)
            start = line.end() if line else stop


def _code_blocks(text: str) -> list[Span]:
    """Fenced blocks. Of one that goes on beyond the text, what is there of it."""
    fences = list(_FENCE.finditer(text))
    spans: list[Span] = []
    if len(fences) % 2 and _closes(text, fences):
        spans.append((0, fences.pop(0).end()))
    for opening, closing in zip_longest(fences[::2], fences[1::2]):
        start = opening.start() + len(opening.group()) - len(opening.group().lstrip())
        spans.append((start, closing.end() if closing else len(text)))
    return spans


def _closes(text: str, fences: "Sequence[re.Match[str]]") -> bool:
    """Whether the first of an odd number of fences closes what began above the text: an opening one names a language,
    or stands below a blank line or a colon."""
    if fences[0]["info"].strip():
        return False
    above = text[: fences[0].start()]
    return bool(above.strip()) and not re.search(r"(?:\n[ \t]*|[:：][ \t]*)\n\Z", above)


def quotable(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Those of a text's parts that can answer something: not a heading, a question or what only leads to a list, not a
    table's header or rule, not a bare number or dash."""
    rules = {start for start, end in spans if _TABLE_RULE.match(text[start:end])}
    headings = set(_plain_headings(text, spans))
    for (start, end), (following, _) in zip_longest(spans, spans[1:], fillvalue=(len(text), 0)):
        if text.startswith("|", start):
            is_header = following in rules and text.startswith("|", following)
            if start not in rules and not is_header:
                yield start, end
        elif (
            start not in headings
            and not (_UNDERLINED.match(text, end) and not _SAID.search(text[start:end]))
            and regex.search(r"\p{L}", text, pos=start, endpos=end)
            and not _NO_ANSWER.search(text[start:end])
        ):
            yield start, end


def _plain_headings(text: str, spans: Sequence[Span]) -> Iterator[int]:
    """Where the headings of plain text begin: bare lines that stand alone over something said in sentences.

    Over another bare line, as in a list of opening hours, such a line may be an answer.
    """
    stands_alone = True
    for (start, end), (below, until) in pairwise(spans):
        is_followed_by_blank = text.count("\n", end, below) > 1
        if (
            stands_alone
            and is_followed_by_blank
            and _BARE_LINE.fullmatch(text, start, end)
            and _SAID.search(text[below:until])
        ):
            yield start
        stands_alone = is_followed_by_blank
