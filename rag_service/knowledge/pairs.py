"""Words that stand side by side in the question, and do so in a passage too."""

from itertools import pairwise

from rag_service.knowledge.said import said
from rag_service.knowledge.sentences import words

WEIGHT = 0.05
"""Of a passage that holds all pairs, beside cosines and BM25's shares of up to 1. nDCG@10 of squad gains .003, of
xquad up to .002, of cisi .004; nothing loses more than .0002. Swept over .05 to .12 on the same sets: more gains squad
.003 again and costs cranfield .002."""


def pairs_of(question: str) -> frozenset[tuple[str, str]]:
    """Each two neighbouring words of a question."""
    return frozenset(pairwise(words(question)))


def bonus(pairs: frozenset[tuple[str, str]], title: str, text: str) -> float:
    """What a passage gets for those of a question's pairs that it or its title holds, 0 to `WEIGHT`."""
    named, own = said(title), said(text)
    here, there = own.different, named.different
    line = named.line[:-1] + own.line
    held = 0
    for one, next_one in pairs:
        # Most pairs have a word that the passage lacks.
        if (one in here or one in there) and (next_one in here or next_one in there):
            held += f" {one} {next_one} " in line
    return WEIGHT * held / len(pairs) if held else 0.0
