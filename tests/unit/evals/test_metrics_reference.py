"""Retrieval measures against trec_eval's own code, and nDCG against scikit-learn's."""

import random

import numpy as np
import pytest
import pytrec_eval
from sklearn.metrics import ndcg_score  # type: ignore[import-untyped]

from evals import metrics


def _runs(count: int) -> list[tuple[dict[str, int], list[str]]]:
    """Made-up judgements and rankings: some documents relevant, some of them retrieved."""
    chance = random.Random(5)
    made = []
    for _ in range(count):
        documents = [f"d{number}" for number in range(chance.randrange(2, 30))]
        judged = {name: chance.choice([0, 0, 0, 1, 2, 3]) for name in documents}
        judged[documents[0]] = max(1, judged[documents[0]])
        made.append((judged, chance.sample(documents, chance.randrange(1, len(documents) + 1))))
    return made


@pytest.mark.parametrize("k", [1, 5, 10])
def test_agrees_with_trec_eval(k: int) -> None:
    runs = _runs(200)
    judged = {str(number): judgement for number, (judgement, _) in enumerate(runs)}
    ranked = {
        str(number): {name: float(-rank) for rank, name in enumerate(ranking)}
        for number, (_, ranking) in enumerate(runs)
    }
    theirs = pytrec_eval.RelevanceEvaluator(judged, {f"recall.{k}", f"ndcg_cut.{k}", "recip_rank"}).evaluate(
        ranked
    )
    for number, (judgement, ranking) in enumerate(runs):
        gains = [float(judgement[name]) for name in ranking]
        ideal = [float(grade) for grade in judgement.values()]
        relevant = [name for name, grade in judgement.items() if grade > 0]
        wanted = theirs[str(number)]
        assert metrics.recall_at([name in ranking[:k] for name in relevant]) == pytest.approx(
            wanted[f"recall_{k}"]
        )
        assert metrics.ndcg(gains, ideal, k) == pytest.approx(wanted[f"ndcg_cut_{k}"])
        assert metrics.reciprocal_rank(gains, len(gains)) == pytest.approx(wanted["recip_rank"])
        first = next((rank for rank, gain in enumerate(gains, start=1) if gain > 0), None)
        assert metrics.reciprocal_rank(gains, k) == pytest.approx(1 / first if first and first <= k else 0)


@pytest.mark.parametrize("binary", [True, False])
def test_ndcg_agrees_with_scikit_learn(binary: bool) -> None:
    for judgement, _ in _runs(100):
        grades = [min(grade, 1) if binary else grade for grade in judgement.values()]
        order = random.Random(len(grades)).sample(range(len(grades)), len(grades))
        scores = np.zeros(len(grades))
        scores[order] = -np.arange(len(grades), dtype=float)
        ours = metrics.ndcg([float(grades[place]) for place in order], [float(grade) for grade in grades], 5)
        assert ours == pytest.approx(ndcg_score([grades], [scores], k=5))
