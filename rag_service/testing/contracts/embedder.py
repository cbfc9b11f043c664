"""The promises of an `Embedder`."""
# ruff: noqa: S101 - a suite of tests

import asyncio
from itertools import pairwise

import numpy as np

from rag_service.knowledge.embeddings import Embedder, Vectors

MAX_FINGERPRINT = 200
"""Room for it in the database."""

TEXTS = [
    "Employees have 25 days of paid leave a year.",
    "The printer on the second floor takes only A4 paper.",
    "কর্মীরা বছরে পঁচিশ দিন ছুটি পান।",
    "员工每年有二十五天带薪假期。",
    "휴가는 이십오일입니다.",
    "Café “naïve” — v2.3.1, 3.5 m² 👩‍👩‍👧!\n\n| a | b |\r\n",
]


def near(one: Vectors, other: Vectors) -> bool:
    """The same vector but for rounding: an embedder may calculate at half precision."""
    return bool(np.sum(one * other, axis=-1).min() > 0.995)


class EmbedderContract:
    """Subclass it with a fixture `embedder`."""

    async def test_vectors_are_float32_of_unit_length_one_for_each_text(self, embedder: Embedder) -> None:
        vectors = await embedder.embed_texts([*TEXTS, "…"])
        assert vectors.shape == (len(TEXTS) + 1, embedder.dimensions)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)

    async def test_a_question_is_one_vector_of_unit_length(self, embedder: Embedder) -> None:
        vector = await embedder.embed_question("How many days of leave are there?")
        assert vector.shape == (embedder.dimensions,)
        assert vector.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-3)

    async def test_no_texts_give_no_vectors(self, embedder: Embedder) -> None:
        vectors = await embedder.embed_texts([])
        assert vectors.shape == (0, embedder.dimensions)
        assert vectors.dtype == np.float32

    async def test_the_same_text_has_the_same_vector_whatever_stands_beside_it(
        self, embedder: Embedder
    ) -> None:
        text = TEXTS[0]
        together = await embedder.embed_texts([text, "short", text, text * 20])
        alone = await embedder.embed_texts([text])
        assert near(together[0], together[2])
        assert near(together[0], alone[0])

    async def test_vectors_come_in_the_order_of_the_texts(self, embedder: Embedder) -> None:
        # More than fit in one batch, of lengths that invite sorting.
        texts = [f"number {number} " + "and more " * (number % 5) for number in range(36)]
        together = await embedder.embed_texts(texts)
        for number in (0, 4, 35):
            assert near(together[number], (await embedder.embed_texts([texts[number]]))[0])

    async def test_calls_at_the_same_time_do_not_mix(self, embedder: Embedder) -> None:
        together = await embedder.embed_texts(TEXTS)
        apart = await asyncio.gather(*(embedder.embed_texts([text]) for text in TEXTS))
        assert near(together, np.concatenate(apart))

    async def test_a_question_is_nearest_to_the_text_that_answers_it(self, embedder: Embedder) -> None:
        question = await embedder.embed_question("How many days of paid leave do employees have a year?")
        scores = (await embedder.embed_texts(TEXTS[:2])) @ question
        assert scores[0] > scores[1] + 0.1

    def test_token_spans_lie_in_the_text_in_order_and_do_not_overlap(self, embedder: Embedder) -> None:
        for text, spans in zip(TEXTS, embedder.token_spans(TEXTS), strict=True):
            assert spans
            for start, end in spans:
                assert 0 <= start < end <= len(text)
            for (start, end), (next_start, next_end) in pairwise(spans):
                shared = (next_start, next_end) == (start, end) and end == start + 1
                assert shared or next_start >= end

    def test_token_spans_leave_no_word_out(self, embedder: Embedder) -> None:
        text = "Employees have 25 days " + "x" * 500 + " of leave"
        [spans] = embedder.token_spans([text])
        held = {position for start, end in spans for position in range(start, end)}
        assert held == {position for position, char in enumerate(text) if char != " "}

    def test_no_text_has_no_tokens(self, embedder: Embedder) -> None:
        assert embedder.token_spans([]) == []
        assert embedder.token_spans([""]) == [[]]

    async def test_the_fingerprint_stays_the_same_and_fits_in_the_database(self, embedder: Embedder) -> None:
        before = embedder.fingerprint
        await embedder.embed_texts(TEXTS[:1])
        assert embedder.fingerprint == before
        assert 0 < len(before) <= MAX_FINGERPRINT

    async def test_a_text_far_beyond_the_limit_is_taken_by_its_beginning(self, embedder: Embedder) -> None:
        text = TEXTS[0] * 1000
        assert len(embedder.token_spans([text])[0]) > embedder.max_tokens
        vectors = await embedder.embed_texts([text, TEXTS[1]])
        question = await embedder.embed_question(text)
        for vector in (vectors[0], question):
            np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-3)
        scores = vectors @ question
        assert scores[0] > scores[1]
