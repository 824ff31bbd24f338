"""Aggregates of scores held against closed forms, scipy, and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import (
    bootstrapped,
    interquartile_mean,
    mean_of,
    optimality_gap,
    paired,
)
from similitude.evaluation.anchors import Anchor, normalised
from similitude.evaluation.rows import Row


def test_t_intervals_cover_the_mean_19_times_in_20() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(2_000):
        low, high = mean_of(generator.normal(3.0, 2.0, size=5)).interval or (0.0, 0.0)
        hits += low <= 3.0 <= high
    assert 0.935 <= hits / 2_000 <= 0.965


def test_bootstrap_by_task_agrees_with_scipys_and_with_the_normal_law() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.2, 0.1, 60), generator.normal(0.8, 0.3, 60)
    ours = bootstrapped({"a": a.tolist(), "b": b.tolist()})
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis=-1: (x.mean(axis=axis) + y.mean(axis=axis)) / 2,
        method="percentile",
        n_resamples=5_000,
    ).confidence_interval
    assert ours.value == pytest.approx((a.mean() + b.mean()) / 2)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)
    # One bootstrap over all scores would count the distance between the tasks as noise, and be four times as wide.
    width = 2 * 1.96 * np.hypot(a.std() / 60**0.5, b.std() / 60**0.5) / 2
    assert ours.high - ours.low == pytest.approx(width, rel=0.1)


def test_interquartile_mean_and_gap_of_hand_made_scores() -> None:
    scores = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 50.0])
    assert interquartile_mean(scores) == pytest.approx((0.4 + 0.6 + 0.8 + 1.0) / 4)
    assert optimality_gap(scores) == pytest.approx(1 - (0.2 + 0.4 + 0.6 + 0.8 + 1 + 1 + 1) / 8)
    found = bootstrapped({"a": scores.tolist()}, interquartile_mean)
    assert found.low <= 0.7 <= found.high < 26  # the outlier does not drag it


def test_one_score_has_no_interval_and_equal_ones_a_point() -> None:
    assert mean_of([3.0]).interval is None
    assert bootstrapped({"a": [1.0, 2.0], "b": [1.0]}).interval is None
    assert bootstrapped({"a": [2.0, 2.0]}).interval == (2.0, 2.0)


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [[1.0]]])
def test_scores_that_are_none_are_refused(scores: list[float]) -> None:
    with pytest.raises(EvaluationError, match="finite number"):
        mean_of(scores)


def rows(subject: str, scores: list[float], **changes: object) -> list[Row]:
    return [Row("s", "t", subject, x, {"split": i}, **changes) for i, x in enumerate(scores)]  # type: ignore[arg-type]


def test_pairing_takes_out_what_items_have_in_common() -> None:
    generator = np.random.default_rng(2)
    hard = generator.normal(50, 20, 40)
    better = hard + generator.normal(2, 1, 40)
    found = paired([*rows("a", better.tolist()), *rows("b", hard.tolist())], "a", "b")
    assert found.difference.value == pytest.approx((better - hard).mean())
    assert found.difference.low > 1
    assert found.p < 0.001
    assert stats.ttest_ind(better, hard).pvalue > 0.3  # without pairing there is nothing to see
    assert found.wins + found.losses == 40


def test_p_is_that_of_scipys_permutation_test() -> None:
    change = np.array([0.3, -0.2, 0.5, 0.1, 0.4, -0.1, 0.2, 0.6])
    found = paired([*rows("a", change.tolist()), *rows("b", [0.0] * 8)], "a", "b")
    exact = stats.permutation_test((change,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert found.p == pytest.approx(exact, abs=0.01)


@pytest.mark.slow
def test_under_no_difference_p_is_uniform() -> None:
    generator = np.random.default_rng(3)
    small = 0
    for seed in range(200):
        a, b = generator.normal(size=(2, 12)).tolist()
        small += paired([*rows("a", a), *rows("b", b)], "a", "b", seed=seed).p < 0.1
    assert 8 <= small <= 34


def test_seeds_of_an_item_are_averaged_and_failures_left_out() -> None:
    first = [*rows("a", [1.0, 1.0, 1.0], seed=0), *rows("a", [3.0, 3.0, 3.0], seed=1)]
    failed = Row("s", "t", "a", float("nan"), {"split": 9}, error="it broke")
    other = [*rows("b", [1.0, 1.0, 1.0]), Row("s", "t", "b", 0.0, {"split": 9})]
    found = paired([*first, failed, *other], "a", "b")
    assert (found.difference.value, found.difference.count) == (1.0, 3)


def test_subjects_without_common_items_are_refused() -> None:
    with pytest.raises(EvaluationError, match="0 items in common"):
        paired(rows("a", [1.0, 2.0]), "a", "b")


def test_normalisation_refuses_a_ceiling_below_the_floor() -> None:
    low, high = Anchor("random", "random", {"a": 0.5}), Anchor("oracle", "oracle", {"a": 0.5, "b": 1.0})
    with pytest.raises(EvaluationError, match="above the floor"):
        normalised(0.5, "a", floor=low, ceiling=high)
    with pytest.raises(EvaluationError, match="no score for 'b'"):
        normalised(0.5, "b", floor=low, ceiling=high)
