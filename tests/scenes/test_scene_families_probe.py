"""Probes against scikit-learn, and half-times of curves whose half is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from similitude.core.errors import SceneError
from similitude.scenes.families.forecasts import compared, rank_correlation
from similitude.scenes.families.half_time import half_time
from similitude.scenes.families.probe import ridge_probe


@pytest.mark.parametrize("penalty", [0.0, 1e-3, 1.0])
def test_a_probe_is_ridge_regression(penalty: float) -> None:
    draw = np.random.default_rng(0)
    x, held = draw.normal(size=(60, 7)) * 5 + 2, draw.normal(size=(30, 7)) * 5 + 2
    weights = draw.normal(size=(7, 2))
    y, held_y = (z @ weights + 3 * draw.normal(size=(len(z), 2)) for z in (x, held))
    scaler = StandardScaler().fit(x)
    oracle = Ridge(alpha=penalty * len(x)).fit(scaler.transform(x), y)
    columns = r2_score(held_y, oracle.predict(scaler.transform(held)), multioutput="raw_values")
    expected = np.average(columns, weights=held_y.var(0))
    found = ridge_probe(x, y, test_features=held, test_targets=held_y, penalty=penalty)
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0.5 < found < 1


def test_dead_and_broken_features() -> None:
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(40, 3)), draw.normal(size=(40, 1))
    dead = np.concatenate([x, np.full((40, 1), 0.25)], 1)
    alive = ridge_probe(x, y, test_features=x, test_targets=y)
    assert ridge_probe(dead, y, test_features=dead, test_targets=y) == pytest.approx(alive, abs=1e-12)
    assert math.isnan(ridge_probe(x * np.nan, y, test_features=x, test_targets=y))
    with pytest.raises(SceneError, match="all alike"):
        ridge_probe(x, y, test_features=x, test_targets=np.ones((40, 1)))


def test_the_half_of_a_line_over_log_steps() -> None:
    # score = log2(1 + step) / 6 up to 63, whose half is at 1 + step = 2^3, whatever the checkpoints
    for steps in ([0, 63], [0, 1, 15, 63], [0, 5, 20, 40, 63]):
        scores = [math.log2(1 + step) / 6 for step in steps]
        assert half_time(steps, scores) == pytest.approx(7)


@pytest.mark.parametrize(
    ("scores", "half"),
    [
        ([0.6, 0.8, 1.0], 0.0),  # random features have it
        ([0.0, 0.0, 0.04], None),  # nothing learned
        ([0.0, math.nan, 0.9], None),
        (
            [0.0, 0.9, 0.2],
            2 ** (1 / 9) - 1,
        ),  # of what is forgotten again, the first time that half of the rest is there
    ],
)
def test_half_times_at_the_edges(scores: list[float], half: float | None) -> None:
    found = half_time([0, 1, 3], scores)
    assert found == (None if half is None else pytest.approx(half))


def test_rank_correlations_are_spearmans() -> None:
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(2, 9))
    first, second = ({str(place): value for place, value in enumerate(values)} for values in (x, y))
    places = np.argsort(np.argsort(x)) - np.argsort(
        np.argsort(y)
    )  # 1 - 6 sum d^2 / (n (n^2 - 1)) without ties
    assert rank_correlation(first, second) == pytest.approx(1 - 6 * float((places**2).sum()) / (9 * 80))
    assert math.isnan(rank_correlation({"a": 1, "b": 2}, {"a": 1, "b": 2}))
    assert math.isnan(rank_correlation({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2, "c": 3}))


def test_comparisons_of_two_sizes() -> None:
    small: dict[int | None, dict[str, float]] = {
        0: {"a": 0.1, "b": 0.2, "c": 0.3},
        1: {"a": 0.3, "b": 0.4, "c": 0.5},
        2: {"a": 9.0},
    }
    large: dict[int | None, dict[str, float]] = {0: {"a": 0.5, "b": 0.3, "c": 0.4}, 1: {"a": 0.5, "b": 0.5}}
    found = compared("things", small, large, subject="here", rule="mup")
    assert found.large == pytest.approx({"a": 0.5, "b": 0.4, "c": 0.4})
    assert found.small["c"] == pytest.approx(0.4)
    assert found.changes["a"].value == pytest.approx(0.3)  # of the seeds that both have
    assert found.changes["a"].interval == pytest.approx(
        stats.t.interval(0.95, 1, 0.3, np.std([0.4, 0.2], ddof=1) / math.sqrt(2))
    )
    assert found.changes["c"].interval is None
    assert found.by_seed is not None
    assert found.by_seed.value == pytest.approx(-0.5)  # seed 0: ranks 1, 2, 3 against 3, 1, 2
    assert found.by_seed.count == 1
    assert found.to_dict()["changes"]["b"]["count"] == 2
