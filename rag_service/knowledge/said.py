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
    """The words of a text: each of them once, and all in order as a line, with a blank before and behind each."""

    different: frozenset[str]
    line: str
    total: int

    def counts(self) -> Counter[str]:
        return Counter(self.line.split())


@lru_cache(maxsize=REMEMBERED)
def said(text: str) -> Said:
    """What a text says."""
    order = words(text)
    # The same words stand in most texts: each is kept once.
    return Said(frozenset(map(sys.intern, order)), f" {' '.join(order)} ", len(order))
