"""From `[n]` in a model's text to checked citations: every number is a source that was sent, every quote verbatim."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from rag_service.chat.events import Citation, Delta, Source
from rag_service.chat.growing import Growing
from rag_service.chat.support import supports
from rag_service.knowledge.sentences import sentence_spans, words

_MARK = re.compile(r"\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\]")

# White space is looked at from the beginning of its run alone: a run of 8,000 spaces, seen from each of them, took a
# third of a second, in which nobody else was answered.
_SPACE = r"(?:(?<!\s)\s+)?"
_BEGUN = re.compile(rf"{_SPACE}\[\s*(?:\d{{1,3}}\s*(?:[,;]\s*\d{{1,3}}\s*)*(?:[,;]\s*)?)?\Z|(?<!\s)\s+\Z")
"""What may yet become a mark, and the white space before one."""

_MARKS = re.compile(rf"{_SPACE}\[\d{{1,3}}\](?:\s*\[\d{{1,3}}\])*\s*")
_MARKS_AT_END = re.compile(_MARKS.pattern + r"\Z")
_FENCE = re.compile(r"^\s*```", re.MULTILINE)


class CitationStream:
    """Takes a model's tokens, gives deltas and citations. A mark is held back until it is whole.

    A number that is no source's is left out, and so is a mark that the end of the answer cuts off. Brackets in
    code are code. A mark is never the text of a link: a round bracket right behind it is set off by a space.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = {source.number: source for source in sources}
        self._held = ""
        self._said = Growing()
        self._claimed = 0

    @property
    def text(self) -> str:
        """The answer so far."""
        return str(self._said)

    def feed(self, token: str) -> Iterator[Delta | Citation]:
        """What the token settles."""
        self._held += token
        while match := _MARK.search(self._held):
            before, self._held = self._held[: match.start()], self._held[match.end() :]
            if _in_code(self.text + before):
                yield from self._emit(before + match.group())
                continue
            numbers = [int(number) for number in re.split(r"[\s,;]+", match.group(1))]
            valid = [number for number in dict.fromkeys(numbers) if number in self._sources]
            yield from self._emit(before if valid else before.rstrip(" "))
            yield from self._cite(valid)
        begun = _BEGUN.search(self._held)
        cut = begun.start() if begun else len(self._held)
        settled, self._held = self._held[:cut], self._held[cut:]
        yield from self._emit(settled)

    def finish(self) -> Iterator[Delta | Citation]:
        """What was still held back when the model ended."""
        rest, self._held = self._held.rstrip(), ""
        if _in_code(self.text):
            yield from self._emit(rest)

    def _emit(self, text: str) -> Iterator[Delta]:
        if text.startswith("(") and _MARKS_AT_END.search(self.text) and not _in_code(self.text):
            text = " " + text
        if text:
            self._said.add(text)
            yield Delta(text)

    def _cite(self, numbers: Sequence[int]) -> Iterator[Delta | Citation]:
        text = self.text
        start, end = _claim(text, self._claimed)
        self._claimed = start  # the next claim is this one, or one behind it
        for number in numbers:
            yield from self._emit(f"[{number}]")
            if start < end:
                yield cite(self._sources[number], text[start:end], (start, end))


def _in_code(text: str) -> bool:
    """Whether the end of `text` lies in a code block or a code span of Markdown."""
    if len(_FENCE.findall(text)) % 2:
        return True
    return text.rpartition("\n")[2].replace("```", "").count("`") % 2 == 1


def _claim(text: str, begin: int) -> tuple[int, int]:
    """Where the sentence that a mark at the end of `text` belongs to begins and ends, marks around it left out. At
    `begin` a sentence begins, that one or one before it."""
    start, end = next(reversed(sentence_spans(text, begin)), (0, 0))
    if behind := _MARKS_AT_END.search(text, start, end):
        end = behind.start()
    if before := _MARKS.match(text, start, end):
        start = before.end()
    return start, end


def cite(source: Source, claim: str, answer_span: tuple[int, int]) -> Citation:
    """The citation of a claim, with the passage of the source that supports it best."""
    start, end = best_quote(source.text, _MARKS.sub(" ", claim))
    return Citation(
        number=source.number,
        document_id=source.document_id,
        chunk_id=source.chunk_id,
        answer_span=answer_span,
        quote=source.text[start:end],
        source_span=(start, end),
        page=source.page,
        supported=supports("\n".join([*source.headings, source.context, source.text]), claim),
    )


def best_quote(text: str, claim: str) -> tuple[int, int]:
    """The span of the sentence in `text` that shares most with the claim, rare words counting more.

    A word's weight is the logarithm of how many sentences it sets apart, and a long sentence is no better for
    being long: the shared weight is divided by the root of the sentence's own.
    """
    spans = sentence_spans(text) or [(0, len(text))]
    bags = [Counter(words(text[start:end])) for start, end in spans]
    frequency = Counter(word for bag in bags for word in bag)
    weight = {word: math.log(1 + len(bags) / count) for word, count in frequency.items()}
    wanted = set(words(claim))

    def shared(bag: Counter[str]) -> float:
        total = sum(weight[word] for word in bag)
        return sum(weight[word] for word in bag if word in wanted) / math.sqrt(total) if total else 0.0

    best = max(range(len(spans)), key=lambda index: (shared(bags[index]), -index))
    return spans[best]
