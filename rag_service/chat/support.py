"""Whether the sources support what an answer says: found by matching, not believed from the model."""

from collections.abc import Iterator, Sequence

import regex

from rag_service.chat import extractive
from rag_service.knowledge.sentences import sentence_spans, words

LEAST_SHARED = 1 / 3
"""Share of a claim's words that its source has to have. A paraphrase keeps about half of them; an invented sentence on
the same matter has the name of the matter, and little else."""

SHORT = 3
"""Letters up to which a word in an alphabet says nothing by itself: articles, prepositions."""

STEM = 5
"""Letters at the beginning of a word that tell it from others, whatever its ending."""

_BULLET = regex.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
_MARK = regex.compile(r"\s*\[\d{1,3}(?:[,;]\s*\d{1,3})*\]")
_NUMBER = regex.compile(r"\d+(?:[.,]\d+)*")
_SCRIPTS = (
    "Latin",
    "Bengali",
    "Devanagari",
    "Arabic",
    "Cyrillic",
    "Greek",
    "Hebrew",
    "Han",
    "Hangul",
    "Thai",
)
_LETTERS = {script: regex.compile(rf"\p{{{script}}}") for script in _SCRIPTS}


def supports(source: str, claim: str) -> bool:
    """Whether what a claim says can be found in the source: each of its numbers, and enough of its words.

    Words cannot be compared across scripts: of an answer in another one than the source's only the numbers count.
    """
    if _numbers(claim) - _numbers(source):
        return False
    if _script(claim) != _script(source):
        return True
    told = _telling(claim)
    return not told or len(told & _telling(source)) >= LEAST_SHARED * len(told)


def is_claimed(model: str | None, finish_reason: str | None) -> bool:
    """Whether an answer makes claims of its own: a quote is its own proof, and a refusal claims nothing."""
    return model not in (None, extractive.NAME) and finish_reason != "refused"


def unsupported(text: str, supported: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The spans of an answer's sentences that no supported claim lies in.

    What leads up to something (a heading, a line that ends in a colon) and what has no words claims nothing.
    """
    waiting = sorted(map(tuple, supported), reverse=True)
    found, reach = [], 0
    for start, end in _sentences(text):
        while waiting and waiting[-1][0] < end:
            reach = max(reach, waiting.pop()[1])
        if reach <= start and _claims(text[start:end]):
            found.append((start, end))
    return found


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """The sentences of an answer, without the bullet or number of a list's item."""
    for start, end in sentence_spans(text):
        bullet = _BULLET.match(text, start, end)
        yield (bullet.end() if bullet else start), end


def _claims(sentence: str) -> bool:
    said = _MARK.sub("", sentence).strip()
    return not said.startswith("#") and not said.endswith((":", "：", "?", "？")) and bool(words(said))


def _telling(text: str) -> set[str]:
    """The beginnings of the words that say something."""
    return {word[:STEM] for word in words(_MARK.sub(" ", text)) if len(word) > SHORT or not word.isascii()}


def _numbers(text: str) -> set[str]:
    return set(_each_number(_MARK.sub(" ", text)))


def _each_number(text: str) -> Iterator[str]:
    """Numbers with their digits as Western ones, and without what sets thousands apart."""
    for match in _NUMBER.finditer(text):
        digits = "".join(str(int(char)) if char.isdigit() else char for char in match.group())
        yield regex.sub(r"(?<=\d)[.,](?=\d{3}(?!\d))", "", digits)


def _script(text: str) -> str:
    """The script that most of a text's letters are of."""
    return max(_SCRIPTS, key=lambda script: len(_LETTERS[script].findall(text)))
