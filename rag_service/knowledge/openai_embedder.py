"""Embedding through any server that speaks OpenAI's `/embeddings`."""

from collections.abc import Sequence

import numpy as np
from langchain_openai import OpenAIEmbeddings
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAIError
from pydantic import SecretStr

from rag_service.errors import ConfigurationError, EmbedderUnavailable
from rag_service.knowledge.embeddings import Vectors
from rag_service.knowledge.tokens import cut_to_tokens, word_piece_spans
from rag_service.settings import Settings

BATCH = 128
REQUEST_SECONDS = 30.0


class OpenAIEmbedder:
    """Vectors from a server. Its size is asked of the server itself, once, at start."""

    max_tokens = 8000

    def __init__(self, model: str, settings: Settings) -> None:
        if not (settings.openai_api_key or settings.openai_base_url):
            raise ConfigurationError(
                "RAG_EMBEDDING_MODEL names an OpenAI-compatible model, but neither OPENAI_API_KEY nor "
                "OPENAI_BASE_URL is set."
            )
        self._http = DefaultAsyncHttpxClient()
        with DefaultHttpxClient() as http:
            self._client = OpenAIEmbeddings(
                model=model,
                openai_api_base=settings.openai_base_url,
                openai_api_key=settings.openai_api_key or SecretStr("none"),
                # Servers other than OpenAI's own take text, not OpenAI's token numbers: no length check of the SDK's.
                check_embedding_ctx_length=False,
                chunk_size=BATCH,
                request_timeout=REQUEST_SECONDS,
                max_retries=2,
                http_client=http,
                http_async_client=self._http,
            )
            try:
                self.dimensions = len(self._client.embed_query("size"))
            except OpenAIError as error:
                raise EmbedderUnavailable(
                    f"The embedding server does not answer for the model {model!r}: {type(error).__name__}."
                ) from error
        self.fingerprint = f"openai:{model}@{self.dimensions}"

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return word_piece_spans(texts)

    def pieces_a_letter(self, text: str) -> float | None:
        return None  # the server's tokenizer is not known, and one that cuts bytes says little

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        try:
            vectors = await self._client.aembed_documents(
                [cut_to_tokens(text, self.max_tokens) for text in texts]
            )
        except OpenAIError as error:
            raise EmbedderUnavailable(
                f"The embedding server failed ({type(error).__name__}); it is tried again."
            ) from error
        array = np.asarray(vectors, dtype=np.float32)
        norms = np.linalg.norm(array, axis=1, keepdims=True)
        return np.asarray(array / np.where(norms == 0, 1, norms), dtype=np.float32)

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._http.aclose()

    async def embed_question(self, text: str) -> Vectors:
        return np.asarray((await self.embed_texts([text]))[0], dtype=np.float32)
