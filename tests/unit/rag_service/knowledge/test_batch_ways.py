"""The quicker ways to the vectors of texts: the library's vectors, or the library itself."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rag_service.knowledge.batch_ways import by_library, fastest
from rag_service.knowledge.embeddings import built_in_model
from rag_service.knowledge.int8_feed import fed_in_int8
from rag_service.knowledge.packed_bert import PackedBert

TEXTS = [
    "A job's lease runs out when its worker dies.",
    "কর্মীরা বছরে পঁচিশ দিন ছুটি পান।",
    "| Item | Price |\n|---|---|\n| Chair | 120 |",
    "",
    "long " * 400,
    "月は何でできていますか " * 30,
    "x",
    "class Lane:\n    def __init__(self, *, width: int = 3) -> None:\n        self.width = width\n" * 4,
    "MIXED capitals AND numbers 1e-9, 0x7f, 12.345.678,90; {'a': [1, 2]} " * 5,
    "[MASK] [SEP] ☃ \u202e",
]


@pytest.fixture(scope="module")
def model() -> Iterator[SentenceTransformer]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a lane has
    yield SentenceTransformer(str(built_in_model()), device="cpu", local_files_only=True)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("precision", "int8", "least"),
    [("float32", False, 0.99999), ("bfloat16", False, 0.9999), ("bfloat16", True, 0.995)],
)
def test_texts_have_the_librarys_vectors_in_whatever_company(
    model: SentenceTransformer, precision: str, int8: bool, least: float
) -> None:
    packed: PackedBert | None = PackedBert(model, precision)
    if int8 and packed is not None:
        packed = fed_in_int8(packed, model)
    if packed is None:
        pytest.skip("this CPU has no product in int8")
    together = packed.encode(TEXTS)
    agreements = (together * by_library(model, TEXTS)).sum(axis=1)
    assert agreements.min() > least, dict(zip(TEXTS, agreements, strict=True))
    alone = np.concatenate([packed.encode([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.9999


def test_a_way_that_is_chosen_agrees(model: SentenceTransformer) -> None:
    _, encode = fastest(model)
    assert (encode(TEXTS) * by_library(model, TEXTS)).sum(axis=1).min() > 0.995


def test_a_model_of_another_kind_is_not_packed(model: SentenceTransformer) -> None:
    other = SentenceTransformer(modules=[model[0], Pooling(384, "max")], device="cpu")
    name, encode = fastest(other)
    assert "library" in name
    assert (encode(TEXTS) * by_library(other, TEXTS)).sum(axis=1).min() > 0.995
