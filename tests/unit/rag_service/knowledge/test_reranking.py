"""A reranker from a local folder: it orders the best anew, and is never waited for longer than it may take."""

from pathlib import Path
from uuid import uuid4

import pytest
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from rag_service.db.repositories.read_back import FoundChunk, ReadableChunk
from rag_service.errors import ConfigurationError
from rag_service.knowledge.fusion import Fused
from rag_service.knowledge.reranking import Reranker
from rag_service.knowledge.selection import Hit

WORDS = ["moon", "sun", "star", "cheese"]


def save_model(folder: Path, *, labels: int = 1) -> Path:
    """A tiny cross-encoder with weights by chance."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=9, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    config.num_labels, config.initializer_range = labels, 1.0
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def hit(text: str, fused: float) -> Hit:
    chunk = FoundChunk(uuid4(), uuid4(), 0, text, [], "", None)
    return Hit(ReadableChunk(chunk, uuid4(), text, text), Fused(chunk.id, fused, 1, None, None, fused))


async def test_the_best_are_put_in_the_models_order_and_the_rest_stays_behind(tmp_path: Path) -> None:
    reranker = Reranker(save_model(tmp_path / "model"), most=3, seconds=20)
    hits = [hit(word, 1 - place / 10) for place, word in enumerate(WORDS)]
    ranked = await reranker.ranked("moon", hits, 2)
    scores = [one.reranked for one in ranked[:3]]
    assert None not in scores
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    assert {one.found.chunk_id for one in ranked[:3]} == {one.found.chunk_id for one in hits[:3]}
    assert ranked[3] == hits[3]
    assert await reranker.ranked("moon", [], 2) == []
    reranker.close()


async def test_one_that_is_late_leaves_the_order_as_it_was(tmp_path: Path) -> None:
    reranker = Reranker(save_model(tmp_path / "model"), most=3, seconds=0)
    hits = [hit(word, 1 - place / 10) for place, word in enumerate(WORDS)]
    assert await reranker.ranked("moon", hits, 2) == hits
    reranker.close()


def test_what_is_no_reranker_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    several = save_model(tmp_path / "several", labels=3)
    for folder in (tmp_path / "nowhere", tmp_path / "empty", several):
        with pytest.raises(ConfigurationError, match="RAG_RERANKER_MODEL") as refused:
            Reranker(folder, most=3, seconds=1)
        assert str(folder) in refused.value.detail
