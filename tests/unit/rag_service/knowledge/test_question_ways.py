"""The short way to a question's vector: the library's own vector, or the library itself."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rag_service.knowledge import onnx_bert
from rag_service.knowledge.embeddings import Vectors, built_in_model
from rag_service.knowledge.onnx_bert import OnnxBert
from rag_service.knowledge.question_ways import fastest

QUESTIONS = [
    "a",
    "",
    "Wie viele Tage Urlaub?",
    "月は何でできていますか",
    "[MASK] [SEP] ☃ \u202e",
    "long " * 400,
]


@pytest.fixture(scope="module")
def model() -> Iterator[SentenceTransformer]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a question has
    yield SentenceTransformer(str(built_in_model()), device="cpu", local_files_only=True)
    torch.set_num_threads(threads)


def through_library(model: SentenceTransformer, text: str) -> Vectors:
    return np.asarray(model.encode([text], normalize_embeddings=True)[0], dtype=np.float32)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_any_text_has_the_librarys_vector(model: SentenceTransformer, pooling: str) -> None:
    asked = SentenceTransformer(modules=[model[0], Pooling(384, pooling)], device="cpu")
    short = OnnxBert(asked)
    for text in QUESTIONS:
        assert short(text) @ through_library(asked, text) > 0.998, text[:20]


def test_another_kind_of_model_and_vectors_that_differ_go_through_the_library(
    model: SentenceTransformer,
) -> None:
    other = SentenceTransformer(modules=[model[0], Pooling(384, "max")], device="cpu")
    for candidate, told in ((other, other), (model, other)):

        def library(text: str, told: SentenceTransformer = told) -> Vectors:
            return through_library(told, text)

        assert fastest(candidate, library) is library


@pytest.mark.parametrize(
    ("name", "value"), [("MICROSOFT", "nobody.knows"), ("OPERATORS", 999), ("FORMAT", 999)]
)
def test_where_onnx_runtime_does_not_take_the_graph_questions_go_through_the_library(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    def library(text: str) -> Vectors:
        return through_library(model, text)

    monkeypatch.setattr(onnx_bert, name, value)
    assert fastest(model, library) is library
