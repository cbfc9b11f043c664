"""Two lists become one: by a weight that follows the question, whatever one side knows."""

from uuid import UUID

import pytest

from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.fusion import WEIGHT, agreement_weight, dense_weight, fuse, idf, most_possible

A, B, C = (UUID(int=number) for number in range(3))


def test_every_chunk_of_either_list_comes_once_with_how_it_was_found() -> None:
    fused = fuse([(A, 0.6), (B, 0.3)], [(C, 8.0), (B, 6.0)], weight=0.5, possible=20, cosines={C: 0.2})
    assert {hit.chunk_id: (hit.dense, hit.dense_rank, hit.lexical, hit.lexical_rank) for hit in fused} == {
        A: (0.6, 1, None, None),
        B: (0.3, 2, 6.0, 2),
        C: (0.2, None, 8.0, 1),
    }
    assert [hit.chunk_id for hit in fused] == [C, B, A]
    assert [hit.fused for hit in fused] == sorted((hit.fused for hit in fused), reverse=True)


@pytest.mark.parametrize(("weight", "best"), [(0.0, B), (5.0, A)])
def test_the_weight_decides_whose_best_comes_first(weight: float, best: UUID) -> None:
    assert fuse([(A, 0.6), (B, 0.1)], [(B, 9.0)], weight=weight, possible=20)[0].chunk_id == best


def test_one_side_alone_keeps_its_order() -> None:
    assert [hit.chunk_id for hit in fuse([(A, 0.6), (B, 0.3)], [], weight=0.5, possible=9)] == [A, B]
    assert [hit.chunk_id for hit in fuse([], [(B, 6.0), (A, 3.0)], weight=0.5, possible=0)] == [B, A]
    assert fuse([], [], weight=0.5, possible=0) == []


def test_a_chunk_that_vectors_did_not_find_counts_as_their_last() -> None:
    [first, second] = fuse([(A, 0.6)], [(B, 1.0)], weight=1.0, possible=10)
    assert (first.chunk_id, second.chunk_id) == (B, A)
    assert second.fused == pytest.approx(0.6)


def test_weak_words_say_less_than_strong_ones() -> None:
    """Of two questions of which the words find little and much, the vectors decide the first."""
    near = [(A, 0.6), (B, 0.4)]
    assert fuse(near, [(B, 1.0)], weight=0.8, possible=60)[0].chunk_id == A
    assert fuse(near, [(B, 30.0)], weight=0.8, possible=60)[0].chunk_id == B


def test_the_most_that_is_possible_grows_with_rarity_and_repetition() -> None:
    assert idf(100, 1) > idf(100, 50) > 0
    assert most_possible({"moon": 1.0}, 100, {"moon": 1}) == pytest.approx(2.2 * idf(100, 1))
    assert most_possible({"moon": 2.0}, 100, {}) == pytest.approx(4.4 * idf(100, 0))


def test_vectors_weigh_as_much_as_the_model_knows_the_language(real_embedder: Embedder) -> None:
    def weight(text: str) -> float:
        pieces = real_embedder.pieces_a_letter(text)
        assert pieces is not None
        return dense_weight(pieces)

    english = weight("How many days of paid leave do employees have?")
    german = weight("Wie viele Tage bezahlten Urlaub haben die Beschäftigten?")
    others = [
        weight(text)
        for text in (
            "কর্মীরা বছরে কত দিন সবেতন ছুটি পান?",
            "员工每年有多少天带薪假期？",
            "พนักงานมีวันหยุดกี่วันต่อปี",
            "Сколько дней оплачиваемого отпуска у сотрудников?",
        )
    ]
    assert english > 0.7 * WEIGHT
    assert english > 1.3 * german > 1.3 * 2 * max(others)
    assert real_embedder.pieces_a_letter("?!") is None


def test_without_a_known_tokenizer_agreement_tells() -> None:
    near, told = [(A, 0.6), (B, 0.5)], [(A, 9.0), (B, 8.0)]
    assert agreement_weight(near, told) > 0.9 * WEIGHT
    assert agreement_weight(near, [(C, 9.0)]) < 0.1 * WEIGHT
    assert agreement_weight(near, []) == WEIGHT
