"""Counting tokens for a chat model's budget, with tiktoken where its vocabulary is at hand.

tiktoken fetches a vocabulary from the network on its first use. Nothing here waits long for that: a cached
vocabulary is used, a fetch gets a few seconds, and without either the count errs upward.
"""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex
import tiktoken
from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

FETCH_SECONDS = 5.0
UNKNOWN = "[UNK]"
"""The word piece that stands for a word with letters that the built-in model does not know, or of over 100."""
LONGEST_WORD = 100
SLICES, SLICE = 10, 5_000
"""Of a text that is longer than these together only these are counted: a million characters took seconds, in which
nothing else was answered."""


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of a text. `exact` tells tiktoken's own count from the upward estimate."""

    count: Callable[[str], int]
    exact: bool


def load_token_counter(model: str) -> TokenCounter:
    """The counter for a chat model. May take `FETCH_SECONDS`: call it off the event loop."""
    encoding = _fetch_encoding(model)
    if encoding is None:
        return TokenCounter(estimate_tokens, exact=False)
    return TokenCounter(lambda text: len(encoding.encode_ordinary(text)), exact=True)


@lru_cache(maxsize=8)
def _fetch_encoding(model: str) -> tiktoken.Encoding | None:
    found: list[tiktoken.Encoding] = []
    failed: list[Exception] = []

    def fetch() -> None:
        try:
            try:
                found.append(tiktoken.encoding_for_model(model))
            except KeyError:
                found.append(tiktoken.get_encoding("o200k_base"))
        except (
            OSError,
            ValueError,
        ) as error:  # requests' errors are OSErrors; ValueError: not the right bytes
            failed.append(error)

    # A daemon thread: a fetch that hangs on a silent network is left behind and holds nothing up.
    thread = threading.Thread(target=fetch, daemon=True, name="tiktoken-fetch")
    thread.start()
    thread.join(FETCH_SECONDS)
    if found:
        return found[0]
    logger.warning(
        "tiktoken's vocabulary is not here and could not be fetched; token counts are estimated, erring upward. "
        "Set TIKTOKEN_CACHE_DIR to a folder that holds it to count exactly.",
        extra={"model": model, "reason": type(failed[0]).__name__ if failed else "timeout"},
    )
    return None


@lru_cache(maxsize=1)
def _word_pieces() -> Tokenizer:
    from rag_service.knowledge.embeddings import built_in_model

    tokenizer = Tokenizer.from_file(str(built_in_model() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


_FOREIGN = regex.compile(r"[^\s\x21-\x7e]")
_FAMILIAR = regex.compile(
    r"[\p{Latin}\p{Cyrillic}\p{Arabic}\p{Devanagari}\p{Bengali}\p{Thai}"
    r"\u4E00-\u9FFF\p{Hiragana}\p{Katakana}\p{Hangul}]"
)
_INNER_CAPITAL = regex.compile(r"(?<=[A-Za-z])[A-Z]")
_GAP = regex.compile(r"[^\S ]|\s{2,}")


def estimate_tokens(text: str) -> int:
    """An upper estimate of a text's tokens in any of the usual vocabularies.

    For ASCII the built-in model's word pieces, which are never much fewer, with what they do not tell apart added:
    capitals, and white space that is not one blank. Other letters count by their bytes: two a token in the scripts
    that the vocabularies know well, one in all others. Measured against cl100k_base. A text of over 50,000 characters,
    more than any budget, is counted by slices of it.
    """
    if len(text) > SLICES * SLICE:
        part = len(text) / SLICES
        # Not at the same place of each part: a text may repeat itself.
        starts = [int(part * number + (part - SLICE) * (number * 0.618 % 1)) for number in range(SLICES)]
        counted = sum(estimate_tokens(text[start : start + SLICE]) for start in starts)
        return math.ceil(counted * len(text) / (SLICES * SLICE))
    known = _FOREIGN.sub(" ", text)
    # As a batch, during which other threads may run; and without places, which few texts need.
    pieces = len(_word_pieces().encode_batch_fast([known], add_special_tokens=False)[0])
    if any(len(word) > LONGEST_WORD for word in known.split()):
        encoding = _word_pieces().encode(known, add_special_tokens=False)
        pieces = sum(
            end - start if piece == UNKNOWN else 1
            for piece, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)
        )
    capitals = len(_INNER_CAPITAL.findall(text))
    gaps = sum(math.ceil(len(gap) / 2) for gap in _GAP.findall(text))
    foreign = "".join(_FOREIGN.findall(text))
    familiar = "".join(_FAMILIAR.findall(foreign))
    letters = len(foreign.encode(errors="replace")) - len(familiar.encode()) / 2
    return math.ceil(1.1 * (pieces + capitals / 2 + gaps + letters))


def cut_to_tokens(text: str, limit: int) -> str:
    """As much of the beginning of `text` as has at most `limit` tokens in any of the usual vocabularies."""
    if len(text.encode(errors="replace")) <= limit:
        return text  # no token has less than a byte
    while (size := estimate_tokens(text)) > limit:
        text = text[: len(text) * limit // size]
    return text


def word_piece_spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For each text the [start, end) characters of its word pieces; unknown words are cut every four characters."""
    encodings = _word_pieces().encode_batch(list(texts), add_special_tokens=False)
    return [
        [
            (at, min(at + 4, end)) if piece == UNKNOWN else (start, end)
            for piece, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)
            for at in (range(start, end, 4) if piece == UNKNOWN else (start,))
        ]
        for encoding in encodings
    ]
