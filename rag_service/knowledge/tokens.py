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

import tiktoken
from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

FETCH_SECONDS = 5.0


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
    failed: list[OSError] = []

    def fetch() -> None:
        try:
            try:
                found.append(tiktoken.encoding_for_model(model))
            except KeyError:
                found.append(tiktoken.get_encoding("o200k_base"))
        except OSError as error:  # requests' errors are OSErrors
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


def estimate_tokens(text: str) -> int:
    """An upper estimate of a text's tokens in any of the usual vocabularies.

    The built-in model's word pieces are never much fewer than theirs in the scripts it knows. A word that it
    does not know is one piece to it, so other scripts count by their bytes: two a token, the worst measured.
    """
    pieces = len(_word_pieces().encode(text, add_special_tokens=False))
    foreign_bytes = len(text.encode()) - sum(char.isascii() for char in text)
    return math.ceil(1.1 * pieces + foreign_bytes / 2)


def word_piece_spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For each text the [start, end) characters of its word pieces; unknown words are cut every four characters."""
    encodings = _word_pieces().encode_batch(list(texts), add_special_tokens=False)
    return [
        [
            (at, min(at + 4, end))
            for start, end in encoding.offsets
            for at in range(start, end, 4 if end - start > 4 else max(end - start, 1))
        ]
        for encoding in encodings
    ]
