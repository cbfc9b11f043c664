"""The words of texts that are looked at again and again: chunks and their titles, which many questions find."""

import sys
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from rag_service.knowledge.sentences import words

REMEMBERED = 2048
"""Texts whose words are kept: some 12 MB, and a millisecond and a half for each question."""


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a text in order, and each of them once."""

    order: tuple[str, ...]
    different: frozenset[str]

    def counts(self) -> Counter[str]:
        return Counter(self.order)


@lru_cache(maxsize=REMEMBERED)
def said(text: str) -> Said:
    """What a text says."""
    order = tuple(map(sys.intern, words(text)))  # the same words stand in most texts: each is kept once
    return Said(order, frozenset(order))
