"""Measures of retrieval and of answers: pure functions of plain values, each with its formula and its source.

Ranks count from 1. A measure that has nothing to measure is None and stays out of every mean.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

# --- Retrieval. `gains[i]` is the gain of the result at rank i + 1, 0 where it is not relevant.


def recall_at(found: Sequence[bool]) -> float | None:
    """|relevant ∩ retrieved| / |relevant|: `found` says of each relevant item whether it was retrieved.

    Manning, Raghavan, Schütze: Introduction to Information Retrieval (2008), section 8.3.
    """
    return sum(found) / len(found) if found else None


def reciprocal_rank(gains: Sequence[float], k: int) -> float:
    """1 / rank of the first relevant result among the first `k`, and 0 if there is none; its mean is MRR@k.

    Voorhees: The TREC-8 Question Answering Track Report (1999).
    """
    return next((1 / rank for rank, gain in enumerate(gains[:k], start=1) if gain > 0), 0.0)


def dcg(gains: Sequence[float], k: int) -> float:
    """Σ gain_i / log2(i + 1) over the ranks i up to `k`: linear gains, as in trec_eval and scikit-learn.

    Järvelin, Kekäläinen: Cumulated gain-based evaluation of IR techniques (2002), with the discount log2(i + 1)
    of Burges and others: Learning to Rank using Gradient Descent (2005).
    """
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:k], start=1))


def ndcg(gains: Sequence[float], ideal: Sequence[float], k: int) -> float | None:
    """DCG@k / DCG@k of the best order. `ideal` are the gains of all relevant items, retrieved or not.

    Binary where every gain is 1, graded otherwise.
    """
    best = dcg(sorted(ideal, reverse=True), k)
    return dcg(gains, k) / best if best > 0 else None


# --- Answers.

_ARTICLES = frozenset({"a", "an", "the"})
_CITATION_MARK = re.compile(r"\[\d{1,3}\]")
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")


def normalise(text: str) -> list[str]:
    """The words of `text` as SQuAD compares them: lower case, no punctuation, no articles (a, an, the).

    Rajpurkar and others: SQuAD (2016), evaluate-v1.1.py. Where that script knows only ASCII, this one

    - drops the punctuation and symbols of every script, and keeps letters, digits and combining marks, without
      which Bangla loses its vowels; joiners, which only shape letters, are dropped;
    - compares composed forms (NFC), so that the two spellings of য় are one, and decimal digits of every script
      by their value, so that ৪ is 4;
    - keeps the point between two digits, so that 1.5 is not 15.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    composed = _DECIMAL_POINT.sub("\ue000", folded)
    kept = "".join(_letter(char) for char in composed)
    return [word.replace("\ue000", ".") for word in kept.split() if word not in _ARTICLES]


def _letter(char: str) -> str:
    """The character as it is compared: nothing of punctuation, symbols and joiners."""
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return "" if category[0] in "PS" or category == "Cf" else char


def without_marks(answer: str) -> str:
    """An answer without its citation marks, which are no words of it."""
    return _CITATION_MARK.sub(" ", answer)


def contains_answer(answer: str, accepted: Sequence[str]) -> float | None:
    """1 if the words of an accepted answer stand in `answer` side by side, else 0. Whole words: 15 is not in 150."""
    if not accepted:
        return None
    words = normalise(answer)
    return float(any(_within(normalise(one), words) for one in accepted))


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    size = len(part)
    return size > 0 and any(
        list(whole[start : start + size]) == list(part) for start in range(len(whole) - size + 1)
    )


def token_f1(answer: str, accepted: Sequence[str]) -> float | None:
    """2PR / (P + R) over the words that both have, each as often as both have it; the best of the accepted answers.

    P is their share of the answer's words, R of the accepted answer's. SQuAD's evaluate-v1.1.py; two empty texts
    are equal, as in its evaluate-v2.0.py.
    """
    return max((_f1(normalise(answer), normalise(one)) for one in accepted), default=None)


def _f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return float(list(given) == list(wanted))
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))


def exact_match(answer: str, accepted: Sequence[str]) -> float | None:
    """1 if the answer is an accepted one, after normalisation, else 0. SQuAD's evaluate-v1.1.py."""
    if not accepted:
        return None
    return float(any(normalise(answer) == normalise(one) for one in accepted))


# --- Citations.


def citation_validity(numbers: Sequence[int], sent: Sequence[int]) -> float | None:
    """The share of citations whose number is that of a source that was sent. 1 is what the product promises."""
    known = set(sent)
    return sum(number in known for number in numbers) / len(numbers) if numbers else None


def quote_verbatim(
    quotes: Sequence[tuple[int, str, tuple[int, int]]], sources: Mapping[int, str]
) -> float | None:
    """The share of quotes, (number, quote, span), that stand at [start, end) of their source's text.

    1 is what the product promises. An empty quote proves nothing and counts as a fault.
    """
    if not quotes:
        return None
    return sum(_stands(quote, span, sources.get(number)) for number, quote, span in quotes) / len(quotes)


def _stands(quote: str, span: tuple[int, int], text: str | None) -> bool:
    start, end = span
    return text is not None and bool(quote) and 0 <= start < end and text[start:end] == quote


# --- Refusals.


def refusal_precision(refused: Sequence[bool], unanswerable: Sequence[bool]) -> float | None:
    """Of the questions that were refused, the share that the documents do not answer: TP / (TP + FP)."""
    right = [wanted for said, wanted in zip(refused, unanswerable, strict=True) if said]
    return sum(right) / len(right) if right else None


def refusal_recall(refused: Sequence[bool], unanswerable: Sequence[bool]) -> float | None:
    """Of the questions that the documents do not answer, the share that was refused: TP / (TP + FN)."""
    return refusal_precision(unanswerable, refused)
