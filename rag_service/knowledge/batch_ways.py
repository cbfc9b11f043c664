"""How texts to store are embedded: the fastest way on this CPU whose vectors agree with the library's in float32."""

import copy
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rag_service.knowledge import allocator, attention
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.int8_feed import fed_in_int8
from rag_service.knowledge.packed_bert import PackedBert
from rag_service.knowledge.plain_bert import NOT_PLAIN
from rag_service.knowledge.sample_texts import UNSEEN, USUAL

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

BATCH = 8
"""Texts that are taken up at a time; measured on one core, more are slower."""
AGREEMENT = 0.995
"""Least cosine to the library's vector, of every text tried."""
ADVANTAGE = 0.9
"""Share of the library's time that another way may take at most: for less gain the exact vectors are kept."""
ROUNDS = 2

Encode = Callable[[Sequence[str]], Vectors]
"""Texts to vectors of unit length, of shape (texts, dimensions), in order."""


def fastest(model: "SentenceTransformer") -> tuple[str, Encode]:
    """The fastest way, and its name. Takes about two seconds of one core.

    Measured, not looked up: units differ by CPU, and the loser is three times slower. For the calling thread, which is
    to have torch's threads for itself: what other threads compute is not counted.
    """
    library = partial(by_library, model)
    exact = library(UNSEEN)
    ways: dict[str, Encode] = {"library": library}
    agreements: dict[str, float] = {}

    def admit(name: str, way: Encode) -> None:
        agreements[name] = float((exact * way(UNSEEN)).sum(axis=1).min())
        if agreements[name] >= AGREEMENT:
            ways[name] = way

    packed = _packed(model)
    if not packed:
        admit("library bfloat16", partial(by_library, _half(model)))
    for precision, bert in packed.items():
        admit(precision, bert.encode)
    seconds = _timed(ways)
    if quickest := min(packed.keys() & seconds.keys(), key=lambda name: seconds[name], default=None):
        rough = fed_in_int8(packed[quickest], model)
        if rough is not None:
            admit(f"{quickest}, int8", rough.encode)
        seconds |= _timed({name: ways[name] for name in ways.keys() - seconds.keys()})
    chosen = min(seconds, key=lambda name: seconds[name])
    if seconds[chosen] > ADVANTAGE * seconds["library"]:
        chosen = "library"
    logger.info(
        "way of batches chosen",
        extra={
            "way": chosen,
            "ms": {name: round(1000 * taken, 1) for name, taken in seconds.items()},
            "agreement": {name: round(value, 4) for name, value in agreements.items()},
        },
    )
    if chosen != "library":
        allocator.keep_for_reuse()
    return chosen, ways[chosen]


def by_library(model: "SentenceTransformer", texts: Sequence[str]) -> Vectors:
    """The vectors as sentence-transformers has them."""
    import torch

    vectors = model.encode(
        list(texts),
        batch_size=BATCH,
        show_progress_bar=False,
        convert_to_tensor=True,
        processing_kwargs={"text": {"pad_to_multiple_of": attention.WIDTH}}
        if model.dtype == torch.bfloat16
        else None,
    )
    normal = torch.nn.functional.normalize(vectors.float(), dim=1)
    return np.asarray(normal.numpy(), dtype=np.float32)


def _half(model: "SentenceTransformer") -> "SentenceTransformer":
    """The model with bfloat16 weights: 8 % faster than to have them rounded anew for each batch."""
    import torch

    half = copy.deepcopy(model).to(torch.bfloat16)
    attention.use(half)
    return half


def _packed(model: "SentenceTransformer") -> dict[str, PackedBert]:
    """By precision; none where the model is of another kind than what is packed."""
    try:
        return {precision: PackedBert(model, precision) for precision in ("float32", "bfloat16")}
    except NOT_PLAIN as error:
        logger.debug("texts go through the library", extra={"reason": str(error)})
        return {}


def _timed(ways: dict[str, Encode]) -> dict[str, float]:
    """Seconds of each, turn about, and the best of each."""
    rounds = [{name: _seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    return {name: min(one[name] for one in rounds) for name in ways}


def _seconds(way: Encode) -> float:
    # The processor's, not the clock's: at start the machine is busy with our own other processes.
    started = time.thread_time()
    way(USUAL)
    return time.thread_time() - started
