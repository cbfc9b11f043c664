"""A second look at the best of what was found, by a model that reads question and chunk together."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag_service.errors import ConfigurationError
from rag_service.knowledge.selection import Hit
from rag_service.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

logger = logging.getLogger(__name__)


class Reranker:
    """A cross-encoder on the CPU. It has its time; a question that it is too late for keeps the order it had."""

    def __init__(self, model: str | Path, *, most: int, seconds: float) -> None:
        """`model` is a local folder or a hub name. Takes seconds: call it off the event loop.

        Raises:
            ConfigurationError: there is no such model, or it gives more than one score.
        """
        self.most = most
        self._seconds = seconds
        self._model = _loaded(model)
        # One thread: a question that comes while another is overdue waits for it in its own time.
        self._thread = ThreadPoolExecutor(1, "rerank")

    async def ranked(self, question: str, hits: Sequence[Hit], limit: int) -> list[Hit]:
        """The best `most` hits, or `limit` where that is more, in the model's order with its scores; the rest behind
        them. All as they were where the model is late or fails."""
        looked_at = list(hits[: max(self.most, limit)])
        if not looked_at:
            return list(hits)
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._thread, self._scores, question, looked_at)
        try:
            scores = await asyncio.wait_for(asked, self._seconds)
        except TimeoutError:
            logger.warning("reranking took too long; the order stays", extra={"seconds": self._seconds})
            return list(hits)
        except (RuntimeError, ValueError, IndexError) as error:
            logger.warning("reranking failed; the order stays", extra={"reason": type(error).__name__})
            return list(hits)
        scored = [replace(hit, reranked=score) for hit, score in zip(looked_at, scores, strict=True)]
        return sorted(scored, key=lambda hit: -hit.score) + list(hits[len(looked_at) :])

    def _scores(self, question: str, hits: Sequence[Hit]) -> list[float]:
        chunks = [hit.source.chunk for hit in hits]
        pairs = [
            (question, "\n".join(filter(None, [" > ".join(one.headings), one.context, one.text])))
            for one in chunks
        ]
        scores = self._model.predict(pairs, show_progress_bar=False, convert_to_numpy=True)
        return [float(score) for score in scores]

    def close(self) -> None:
        """Wait for nothing that is still asked."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def load_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name, if they do. Takes seconds: call it off the event loop.

    Raises:
        ConfigurationError: it cannot be loaded, or is none.
    """
    if not settings.reranker_model:
        return None
    return Reranker(settings.reranker_model, most=settings.rerank_chunks, seconds=settings.rerank_seconds)


def _loaded(model: str | Path) -> "CrossEncoder":
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    try:
        loaded = CrossEncoder(str(model), device="cpu", local_files_only=Path(model).is_dir())
    except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
        raise ConfigurationError(
            f"The reranker {str(model)!r} cannot be loaded: it is neither a folder with a whole cross-encoder nor a "
            "hub name that can be reached. Check RAG_RERANKER_MODEL, or leave it unset to do without."
        ) from error
    if loaded.num_labels != 1:
        raise ConfigurationError(
            f"The reranker {str(model)!r} gives {loaded.num_labels} scores where one is needed: RAG_RERANKER_MODEL has "
            "to name a cross-encoder that was made for ranking."
        )
    return loaded
