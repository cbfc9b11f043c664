"""Writing from right to left, from the order in which it is seen into the order in which it is read."""

import unicodedata
from collections.abc import Sequence

import regex

_KINDS = {"R": "R", "AL": "A", "L": "L", "EN": "N", "AN": "N", "CS": "C", "ES": "S", "ET": "T"}
_NUMBER = "T*N+(?:[CS]N+)*T*"
_FORWARD = regex.compile(rf"(?:N[^RL]*)?L(?:[^R]*[LN])?|{_NUMBER}")
"""What stands in a line from right to left as it is read: words of other scripts, and numbers."""
_BACKWARD = regex.compile(r"R(?:[^L]*R)?")
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_LETTERS = regex.compile(r"[\p{Hebrew}\p{Arabic}\p{Syriac}\p{Thaana}\p{Nko}&&\p{L}]", regex.V1)


def backward_letters(text: str) -> int:
    """How many letters of scripts that run from right to left are in a text."""
    return len(_LETTERS.findall(text))


def is_backward(text: str) -> bool:
    """Whether most of its letters run from right to left."""
    return 2 * backward_letters(text) > sum(map(str.isalpha, text))


def as_read(seen: Sequence[str], *, backward: bool) -> str:
    """A line of which each sign is given from the left to the right, as it is read.

    `backward` tells whether the text that it is of runs from right to left: a line of both kinds does not show that.
    After the Unicode Bidirectional Algorithm (UAX 9), the other way round.
    """
    kinds = _kinds(seen)
    if "R" not in kinds:
        return "".join(seen)
    if backward or "L" not in kinds:
        return _turned(seen, kinds)
    parts, at = list[str](), 0
    for found in _BACKWARD.finditer(kinds):
        start, end = found.span()
        parts += [*seen[at:start], _turned(seen[start:end], kinds[start:end])]
        at = end
    return "".join([*parts, *seen[at:]])


def _turned(seen: Sequence[str], kinds: str) -> str:
    parts, at = list[str](), 0
    for found in _FORWARD.finditer(kinds):
        start, end = found.span()
        parts += [one.translate(_MIRRORED) for one in seen[at:start]]
        parts.append("".join(seen[start:end]))
        at = end
    parts += [one.translate(_MIRRORED) for one in seen[at:]]
    return "".join(reversed(parts))


def _kinds(seen: Sequence[str]) -> str:
    """A letter for each sign: R from right to left, L from left to right, N a digit, C, S, T what may join digits."""
    kinds = "".join(_KINDS.get(unicodedata.bidirectional(sign[0]), "O") for sign in seen)
    if (
        "A" in kinds
    ):  # among Arabic letters, a hyphen does not join numbers, nor does a percent sign belong to one
        kinds = kinds.translate(str.maketrans("AST", "ROO"))
    return kinds
