"""Embedding on this machine with sentence-transformers, in the way that proves fastest here."""

import asyncio
import hashlib
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import regex

from rag_service.errors import ConfigurationError
from rag_service.knowledge import batch_ways, question_ways
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.lanes import MOST_LANES, Lanes, cores

logger = logging.getLogger(__name__)

_LETTER = regex.compile(r"(?P<word>[\p{Han}\p{Hangul}])|[\p{L}\p{M}\p{N}]")
WORD_CHARACTER = 2.5
"""Letters of an alphabet that a Chinese character or a Korean syllable stands for."""


def _letters(text: str) -> float:
    if text.isascii():
        return float(sum(map(str.isalnum, text)))  # the same, in a tenth of the time
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

        def alone() -> None:
            torch.set_num_threads(1)

        self._measuring = ThreadPoolExecutor(1, thread_name_prefix="measuring", initializer=alone)
        self._warm = threading.Lock()
        self._questions = ThreadPoolExecutor(
            max(1, count // 2), thread_name_prefix="question", initializer=alone
        )

        def prepare() -> None:
            torch.set_num_threads(max(1, cores() // count))
            if niceness:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)

        self._lanes = Lanes(
            lambda texts: self.encode(texts), batch=batch_ways.BATCH, prepare=prepare, count=count
        )

    def _weights_mark(self) -> str:
        """Eight hex digits that tell one set of weights from another, without reading all of them."""
        digest = hashlib.sha256()
        for name, weight in sorted(self._model.state_dict().items()):
            digest.update(name.encode() + weight.flatten()[:64].float().numpy().tobytes())
        return digest.hexdigest()[:8]

    @cached_property
    def encode(self) -> batch_ways.Encode:
        """How texts to store are encoded: as is the fastest on this CPU, measured when first asked for.

        Not at start: a question needs none, and is not to wait for it.
        """
        _, way = batch_ways.fastest(self._model)
        return way

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
        if "encode" not in self.__dict__:
            # Before the lanes run: alone, and with the tokenizer set up by one thread, which is not safe in two.
            await asyncio.get_running_loop().run_in_executor(self._measuring, self._measured)
        return await self._lanes.encode(texts)

    async def embed_question(self, text: str) -> Vectors:
        return await asyncio.get_running_loop().run_in_executor(self._questions, self._encode_question, text)

    def _measured(self) -> batch_ways.Encode:
        with self._warm:
            return self.encode

    def _encode_question(self, text: str) -> Vectors:
        if "_way" in self.__dict__:
            return self._way(text)
        # The first time sets the tokenizer up, which is not safe in two threads.
        with self._warm:
            return self._way(text)

    @cached_property
    def _way(self) -> question_ways.Encode:
        """How a question is encoded."""
        return question_ways.fastest(
            self._model,
            lambda text: np.asarray(batch_ways.by_library(self._model, [text])[0], dtype=np.float32),
        )
