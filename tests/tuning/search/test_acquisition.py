"""Expected improvement and expected area against Monte Carlo and brute force, and fronts against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from similitude.tuning.search.acquisition import (
    log_expected_gain,
    log_expected_improvement,
    log_probability_below,
)
from similitude.tuning.search.outputs import Scaling
from similitude.tuning.search.pareto import Groups, Staircase


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.0, 1.0, 0.3), (-2.0, 0.5, 0.0), (1.0, 2.0, -3.0)])
def test_expected_improvement_is_the_integral(mean, deviation, best):
    integral, _ = integrate.quad(
        lambda y: (y - best) * stats.norm.pdf(y, mean, deviation), best, best + 40 * deviation
    )
    found = log_expected_improvement(np.array([mean]), np.array([deviation**2]), best)
    assert np.exp(found[0]) == pytest.approx(integral, rel=1e-6)


def test_expected_improvement_never_underflows_and_falls_on_and_on():
    best = np.concatenate([np.linspace(0, 4.999, 50), np.linspace(5.001, 40, 50), np.logspace(2, 8, 50)])
    found = log_expected_improvement(np.zeros(150), np.ones(150), best)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()
    assert found[49] - found[50] == pytest.approx(0.002 * 5.2, abs=0.01)  # no jump where the series begins


def test_expected_gain_is_the_mean_area_that_draws_add():
    rng = np.random.default_rng(0)
    front = Staircase(np.array([0.0, 0.7, 1.5]), np.array([0.2, 1.0, 1.3]))
    worst, end = -1.0, 2.5
    grid = np.linspace(-3.0, end, 5501)
    heights = np.maximum(front.at(grid), worst)
    for mean, deviation, cost in [(0.9, 0.5, 0.3), (1.5, 0.1, 1.0), (0.0, 1.0, -0.5), (2.0, 0.3, 2.4)]:
        draws = rng.normal(mean, deviation, 4000)
        gains = [np.maximum(y - heights, 0)[grid >= cost].sum() * (grid[1] - grid[0]) for y in draws]
        gain = log_expected_gain(
            np.array([mean]), np.array([deviation**2]), np.array([cost]), front, worst=worst, end=end
        )
        error = 4 * np.std(gains) / np.sqrt(len(gains)) + 0.003
        assert np.exp(gain[0]) == pytest.approx(np.mean(gains), abs=error)


def test_steep_levels_count_for_more():
    """With one level each way the weighted gain is the plain one times its weight."""
    front = Staircase(np.array([0.0]), np.array([1.0]))
    near, cheap = (
        (np.array([2.0]), np.array([1e-18]), np.array([1.0])),
        (np.zeros(1), np.full(1, 1e-18), -np.ones(1)),
    )

    def gain(candidate, steepness):
        return float(
            np.exp(log_expected_gain(*candidate, front, worst=-1.0, end=3.0, steepness=steepness))[0]
        )

    steepness = {1.0: 1.0, -1.0: 2.5}.__getitem__
    assert gain(near, steepness) == pytest.approx(2.0 * 1.0)
    assert gain(cheap, steepness) == pytest.approx(2.5 * 1.0 * 1.0)


def test_steepness_is_the_slope_of_the_map_back_up_to_its_bound():
    scaling = Scaling.of(np.array([-1e9, -3.0, 1.0, 2.0, 2.5, 3.0]))
    mapped = np.linspace(scaling(np.array([-0.8]))[0], 1.0, 50)
    slope = (scaling.back(mapped + 1e-6) - scaling.back(mapped - 1e-6)) / (
        2e-6 * scaling.spread * scaling.unit
    )
    found = np.array([scaling.steepness(m) for m in mapped])
    np.testing.assert_allclose(found, np.minimum(slope, np.e), rtol=1e-5)
    assert found.max() > 2
    assert scaling.steepness(float(scaling(np.array([-1e9]))[0])) == pytest.approx(np.e)


def test_nothing_is_gained_beyond_the_end():
    front = Staircase(np.array([0.0]), np.array([0.0]))
    gain = log_expected_gain(np.ones(1), np.ones(1), np.array([3.0]), front, worst=-1.0, end=2.0)
    assert gain[0] == -np.inf


def test_the_probability_below_is_the_normal_ones():
    found = log_probability_below(np.array([1.0]), np.array([4.0]), 0.0)
    assert np.exp(found[0]) == pytest.approx(stats.norm.cdf(-0.5))


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(-5, 5)), min_size=1, max_size=25),
)
def test_no_member_of_a_front_is_as_dear_and_worse_than_another(pairs):
    costs = np.array([float(c) for c, _ in pairs])
    order = np.argsort(costs, kind="stable")
    values = np.array([float(v) for _, v in pairs])[order]
    groups = Groups(np.zeros((len(pairs), 1)), costs[order], values, *np.ones((2, len(pairs)), int))
    front = groups.front()
    assert (np.diff(groups.values[front]) > 0).all()
    assert groups.values[front[-1]] == max(groups.values)
    cheapest = max(1, round(0.2 * len(pairs)))
    assert groups.values[front[0]] == max(groups.values[:cheapest])


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30))
def test_scaling_keeps_the_order_and_goes_back(values):
    seen = np.array(values)
    scaling = Scaling.of(seen)
    mapped = scaling(seen)
    order = np.argsort(seen, kind="stable")
    assert (np.diff(mapped[order]) >= -1e-9).all()
    np.testing.assert_allclose(scaling.back(mapped), seen, rtol=1e-6, atol=1e-6 * (abs(seen).max() + 1))
