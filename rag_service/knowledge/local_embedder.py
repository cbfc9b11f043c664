"""Embedding on this machine with sentence-transformers, at the precision that proves fastest here."""

import asyncio
import copy
import hashlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import regex

from rag_service.errors import ConfigurationError
from rag_service.knowledge import allocator, attention, packed_bert
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.lanes import MOST_LANES, Lanes, cores

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

BATCH = 8
"""Texts that a lane takes up at a time; measured on one core, larger ones are slower."""

AGREEMENT = 0.995
"""Least cosine between a bfloat16 vector and the float32 one for bfloat16 to be used."""

_PROBE = [
    "The lease of a job runs out when its worker dies, and another worker takes the job over. " * count
    for count in (1, 1, 2, 2, 3, 3, 4, 4)
]

_LETTER = regex.compile(r"(?P<word>[\p{Han}\p{Hangul}])|[\p{L}\p{M}\p{N}]")
WORD_CHARACTER = 2.5
"""Letters of an alphabet that a Chinese character or a Korean syllable stands for."""


def _letters(text: str) -> float:
    return sum(WORD_CHARACTER if match["word"] else 1.0 for match in _LETTER.finditer(text))


class LocalEmbedder:
    """A sentence-transformers model on the CPU: each question and each batch of texts has one core to itself.

    An inference of several threads is the faster one only where nothing else runs: its threads wait for each other at
    every layer, and beside an ingestion a question took 108 ms instead of 24, and sometimes a second.

    `model` is a local folder or a hub name; `label` names it where the folder's name does not. Texts to store are
    encoded at `niceness`.
    """

    def __init__(self, model: str | Path, *, label: str | None = None, niceness: int = 0) -> None:
        if Path(model).is_dir():
            # The model is here: nothing on the way may ask the hub about it.
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from tokenizers import Tokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._torch = torch
        try:
            self._model = SentenceTransformer(str(model), device="cpu")
        except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
            raise ConfigurationError(
                f"The embedding model {str(model)!r} cannot be loaded: it is neither a folder with a whole "
                "sentence-transformers model nor a hub name that can be reached. Check RAG_EMBEDDING_MODEL."
            ) from error
        self.dimensions = int(self._model.get_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 512) - 2
        self.fingerprint = label or f"{Path(model).name}@{self._weights_mark()}"
        # A copy of the tokenizer: counting must not cut texts short, as inference has to.
        self._tokenizer = Tokenizer.from_str(self._model.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = str(getattr(self._model.tokenizer, "unk_token", None))
        count = min(cores(), MOST_LANES)
        self._questions = ThreadPoolExecutor(
            count, thread_name_prefix="question", initializer=lambda: torch.set_num_threads(1)
        )
        self._warm = threading.Lock()

        def prepare() -> None:
            torch.set_num_threads(max(1, cores() // count))
            if niceness:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

        self._lanes = Lanes(
            lambda texts: self._encode(texts, self.precision), batch=BATCH, prepare=prepare, count=count
        )

    def _weights_mark(self) -> str:
        """Eight hex digits that tell one set of weights from another, without reading all of them."""
        digest = hashlib.sha256()
        for name, weight in sorted(self._model.state_dict().items()):
            digest.update(name.encode() + weight.flatten()[:64].float().numpy().tobytes())
        return digest.hexdigest()[:8]

    @cached_property
    def _half(self) -> "SentenceTransformer":
        """The model with bfloat16 weights: 8 % faster than to have them rounded anew for each batch."""
        allocator.keep_for_reuse()
        half = copy.deepcopy(self._model).to(self._torch.bfloat16)
        attention.use(half)
        return half

    @cached_property
    def precision(self) -> str:
        """`bfloat16` for batches where the CPU runs it faster and the vectors agree, else `float32`.

        Measured, not looked up: units differ by CPU, and the loser is three times slower. Measured with the first
        batch, not at start: a question needs none, and is not to wait for it.
        """
        exact = self._encode(_PROBE, "float32")
        rough = self._encode(_PROBE, "bfloat16")
        agreement = float((exact * rough).sum(axis=1).min())
        # Turn about, and the best of each: at start the machine is busy with our own other processes.
        rounds = [(self._timed("float32"), self._timed("bfloat16")) for _ in range(3)]
        seconds = {"float32": min(pair[0] for pair in rounds), "bfloat16": min(pair[1] for pair in rounds)}
        chosen = (
            "bfloat16"
            if agreement >= AGREEMENT and seconds["bfloat16"] < 0.9 * seconds["float32"]
            else "float32"
        )
        if chosen == "float32":
            del self._half
        logger.info(
            "embedding precision chosen",
            extra={
                "model": self.fingerprint,
                "precision": chosen,
                "agreement": round(agreement, 4),
                "seconds": {name: round(value, 3) for name, value in seconds.items()},
            },
        )
        return chosen

    def _timed(self, precision: str) -> float:
        started = time.perf_counter()
        self._encode(_PROBE, precision)
        return time.perf_counter() - started

    def _encode(self, texts: Sequence[str], precision: str) -> Vectors:
        model = self._model if precision == "float32" else self._half
        vectors = model.encode(
            list(texts),
            batch_size=BATCH,
            show_progress_bar=False,
            convert_to_tensor=True,
            processing_kwargs={"text": {"pad_to_multiple_of": attention.WIDTH}}
            if model is not self._model
            else None,
        )
        normal = self._torch.nn.functional.normalize(vectors.float(), dim=1)
        return np.asarray(normal.numpy(), dtype=np.float32)

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]

    def pieces_a_letter(self, text: str) -> float | None:
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        pieces = 0.0
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            letters = _letters(text[start:end])
            pieces += letters if token == self._unknown else min(letters, 1.0)
        letters = _letters(text)
        return min(1.0, pieces / letters) if letters else None

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        if "precision" not in self.__dict__:
            # Before the lanes run: alone, and with the tokenizer set up by one thread, which is not safe in two.
            await asyncio.get_running_loop().run_in_executor(self._questions, self._measured)
        return await self._lanes.encode(texts)

    async def embed_question(self, text: str) -> Vectors:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._questions, self._encode_question, text)

    def _measured(self) -> str:
        with self._warm:
            return self.precision

    def _encode_question(self, text: str) -> Vectors:
        if "_way" not in self.__dict__:
            # The first time sets the tokenizer up, which is not safe in two threads.
            with self._warm:
                return self._way(text)
        return self._way(text)

    @cached_property
    def _way(self) -> packed_bert.Encode:
        """How a question is encoded: a single text is as fast in float32 as a batch's precision, and exact."""
        return packed_bert.fastest(
            self._model, lambda text: np.asarray(self._encode([text], "float32")[0], dtype=np.float32)
        )
