"""Summaries: deviations and intervals against closed forms and scipy, coverage, paired tests, published aggregates."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from similitude.core.errors import EvaluationError
from similitude.fewshot.metric import Scores
from similitude.fewshot.publications import SOURCE, aggregate, published, published_aggregate
from similitude.fewshot.summary import aggregate_of, compare, summarise
from similitude.fewshot.tasks import TASKS


def scores(values: np.ndarray, *, task: str = "sst-2", shots: int = 10, texts=None) -> list[Scores]:
    """Scores of shape (splits, items), strict half of fair."""
    texts = tuple(texts if texts is not None else range(values.shape[1]))
    return [
        Scores(task, shots, split, tuple((row / 2).tolist()), tuple(row.tolist()), texts)
        for split, row in enumerate(values, 1)
    ]


def drawn(seed: int, splits: int = 5, items: int = 60, mean: float = 0.6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((splits, items)) < mean + 0.1 * rng.standard_normal((splits, 1))).astype(float)


def test_means_deviations_and_the_t_interval():
    values = drawn(0)
    (cell,) = summarise(scores(values))
    means = [100 * float(np.mean(row)) for row in values]
    assert cell.fair.mean == pytest.approx(statistics.fmean(means))
    assert cell.fair.deviation == pytest.approx(statistics.pstdev(means))
    assert cell.strict.mean == pytest.approx(statistics.fmean(means) / 2)
    low, high = stats.t.interval(0.95, 4, statistics.fmean(means), statistics.stdev(means) / math.sqrt(5))
    assert cell.fair.over_splits.interval == pytest.approx((low, high))
    assert cell.splits == (1, 2, 3, 4, 5)


def test_the_bootstrap_over_items_is_as_wide_as_theory_says():
    values = drawn(1, items=400)
    (cell,) = summarise(scores(values))
    of_items = 100 * values.mean(0)
    low, high = cell.fair.over_items.interval or (math.nan, math.nan)
    expected = 2 * 1.96 * statistics.stdev(of_items.tolist()) / math.sqrt(400)
    assert high - low == pytest.approx(expected, rel=0.08)


def test_questions_on_one_text_are_resampled_together():
    """Three questions with equal scores on each text: as wide as with one question, not narrower by sqrt(3)."""
    once = drawn(2, items=200)
    (alone,) = summarise(scores(once))
    thrice = summarise(scores(np.repeat(once, 3, axis=1), texts=np.repeat(range(200), 3).tolist()))[0]
    assert thrice.fair.over_items.interval == pytest.approx(alone.fair.over_items.interval)
    assert thrice.fair.over_items.count == 200
    naive = summarise(scores(np.repeat(once, 3, axis=1)))[0].fair.over_items.interval
    width = (alone.fair.over_items.high - alone.fair.over_items.low) / math.sqrt(3)
    assert naive is not None
    assert naive[1] - naive[0] == pytest.approx(width, rel=0.1)


def test_the_interval_over_items_covers_the_truth_about_95_times_in_100():
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        (cell,) = summarise(scores((rng.random((1, 80)) < 0.6).astype(float)), seed=seed)
        covered += cell.fair.over_items.low <= 60 <= cell.fair.over_items.high
    assert 52 <= covered <= 60


def test_one_split_and_equal_scores_have_no_or_points_of_intervals():
    (one,) = summarise(scores(drawn(0, splits=1)))
    assert one.fair.over_splits.interval is None
    assert one.fair.deviation == 0
    (equal,) = summarise(scores(np.ones((5, 4))))
    assert equal.fair.over_items.interval == equal.fair.over_splits.interval == (100, 100)


def test_it_is_the_same_for_the_same_seed_and_in_any_order_of_splits():
    parts = scores(drawn(3))
    assert summarise(parts, seed=1) == summarise(parts[::-1], seed=1)
    assert summarise(parts, seed=1) != summarise(parts, seed=2)


def test_a_difference_is_tested_over_splits_and_over_items():
    rng = np.random.default_rng(0)
    worse = drawn(4, items=100)
    better = np.maximum(worse, (rng.random(worse.shape) < 0.3).astype(float))
    (found,) = compare(scores(better), scores(worse))
    a, b = 100 * better.mean(1), 100 * worse.mean(1)
    assert found.over_splits.value == pytest.approx(float(np.mean(a - b)))
    assert found.p_splits == pytest.approx(float(stats.ttest_rel(a, b)[1]))
    assert found.p_items < 0.01
    assert found.over_items.low > 0
    (back,) = compare(scores(worse), scores(better))
    assert back.over_splits.value == pytest.approx(-found.over_splits.value)
    (strict,) = compare(scores(better), scores(worse), metric="strict")
    assert strict.over_splits.value == pytest.approx(found.over_splits.value / 2)


def test_p_values_over_items_are_uniform_where_there_is_no_difference():
    found = []
    for seed in range(50):
        one, other = np.random.default_rng(seed).random((2, 1, 60)) < 0.6
        (result,) = compare(scores(one), scores(other))
        found.append(result.p_items)
    assert 0.4 < float(np.mean(found)) < 0.7
    assert sum(p < 0.05 for p in found) <= 6


def test_equal_learners_and_constant_differences():
    values = drawn(5)
    (same,) = compare(scores(values), scores(values))
    assert (same.p_splits, same.p_items, same.over_items.interval) == (1, 1, (0, 0))
    (shifted,) = compare(scores(np.ones((5, 9))), scores(np.zeros((5, 9))))
    assert shifted.p_splits is None
    assert shifted.p_items == pytest.approx(2 / 2**9)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (scores(drawn(0)), scores(drawn(0, splits=4)), r"splits \[1, 2, 3, 4, 5\] and \[1, 2, 3, 4\]"),
        (scores(drawn(0)), scores(drawn(0), shots=20), "no task and number of shots in common"),
        (scores(drawn(0)), scores(drawn(0, items=9)), "or other tests"),
        (scores(drawn(0)) + scores(drawn(0)), scores(drawn(0)), "Each split counts once"),
        ([], scores(drawn(0)), "there are no scores"),
    ],
)
def test_what_cannot_be_compared_is_refused(first, second, said):
    with pytest.raises(EvaluationError, match=said):
        compare(first, second)


def test_the_aggregate_needs_six_tasks_and_five_splits():
    parts = [s for i, task in enumerate(TASKS) for s in scores(drawn(i), task=task, shots=30)]
    cells = summarise(parts)
    found = aggregate_of(cells, 30)
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean(c.fair.mean for c in cells))
    assert found.deviation == pytest.approx(math.sqrt(sum(c.fair.deviation**2 for c in cells)))
    assert aggregate_of(cells, 10) is None
    assert aggregate_of(summarise(parts[1:]), 30) is None
    assert aggregate_of(cells[1:], 30) is None


# Columns of the aggregate table of the README, which has them to one digit beside the rows of each task.
@pytest.mark.parametrize(
    ("model", "mean", "deviation"),
    [
        ("T5-Large FT", 43.1, 6.7),
        ("BERT-Large FT", 42.1, 7.8),
        ("BERT-Base FT", 41.5, 9.2),
        ("DeBERTa-Large FT", 40.1, 17.8),
        ("RoBERTa-Large FT", 40.0, 10.6),
    ],
)
def test_published_aggregates_recompute_from_their_rows(model, mean, deviation):
    found = published_aggregate(model)
    assert found.mean == pytest.approx(mean, abs=0.05001)
    assert found.deviation == pytest.approx(deviation, abs=0.05001)


def test_the_aggregate_of_people_and_of_t5_to_two_digits():
    assert str(published_aggregate("T5-Large FT")) == "43.07 ± 6.70"
    assert str(published_aggregate("Human")) == "81.42"


def test_published_rows_are_anchors_with_their_source():
    rows = published()
    assert {row.source for row in rows} == {SOURCE}
    assert {row.kind for row in rows} == {"human", "published"}
    assert [row.params["shots"] for row in rows[:3]] == [10, 20, 30]
    full = [row for row in rows if set(row.scores) == set(TASKS)]
    assert len({row.name for row in full}) == 6
    assert len(full) == 18
    assert len({(row.name, row.params["shots"]) for row in rows}) == len(rows) == 12 * 3
    for row in rows:
        assert all(0 <= value <= 100 for value in row.scores.values())
        assert set(row.deviations) == (set() if row.kind == "human" else set(row.scores))


def test_unknown_models_and_missing_tasks():
    with pytest.raises(EvaluationError, match=r"no published row of 'T6' at 30 shots\. There are Human"):
        published_aggregate("T6")
    with pytest.raises(EvaluationError, match="missing: conll, wikiann, squad, record"):
        published_aggregate("GPT-3 175B ICL")
    with pytest.raises(EvaluationError, match="not of CLUES: glue"):
        aggregate({**dict.fromkeys(TASKS, 1.0), "glue": 1.0}, {})
