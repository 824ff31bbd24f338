"""The estimators against plain oracles: a loop over the Pareto set, derivatives by differences, paths by brute force."""

from dataclasses import replace

import numpy as np
import pytest
from laws_cases import chinchilla, drawn, history, log10
from scipy.optimize import minimize

from similitude.core.citation import cite
from similitude.tuning.laws.cost import cost_model
from similitude.tuning.laws.data import law_data, resamples
from similitude.tuning.laws.estimates import estimate
from similitude.tuning.laws.forms import forms
from similitude.tuning.laws.frontier import fit_frontier
from similitude.tuning.laws.naive import naive_paths
from similitude.tuning.laws.parametric import parametric_paths
from similitude.tuning.laws.paths import Paths, cost_levels, lines
from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.space.dimensions import Choice, Log
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import History


@pytest.fixture(scope="module")
def data():
    return law_data(History.from_study(chinchilla(seed=0), ChinchillaLaw().space))


def test_naive_is_a_regression_over_the_pareto_set(data):
    counts = resamples(data, 5, seed=0)
    paths = naive_paths(data, counts)
    for b, drawn_ in enumerate(counts):
        front, best = [], np.inf
        for i in np.argsort(data.log_costs):
            if drawn_[i] and data.values[i] < best:
                front += [i] * int(drawn_[i])
                best = data.values[i]
        for j in range(3):
            slope = np.polyfit(data.log_costs[front], data.coordinates[front, j], 1)[0]
            assert paths.slopes[b, j] == pytest.approx(slope)
    assert [c.paper.number for c in cite(naive_paths)] == [10]


def test_lines_are_those_of_polyfit():
    rng = np.random.default_rng(0)
    x, optima, weights = np.linspace(-1, 2, 7), rng.random((3, 7, 2)), rng.random((3, 7))
    middles, slopes = lines(x, optima, weights)
    for b in range(3):
        for j in range(2):
            slope, middle = np.polyfit(x, optima[b, :, j], 1, w=np.sqrt(weights[b]))
            assert (slopes[b, j], middles[b, j]) == pytest.approx((slope, middle))
    assert np.isnan(lines(x, optima, np.eye(7)[:3])[1]).all()


def test_the_cost_is_a_product_of_powers_and_what_does_not_matter_is_left_out(data):
    counts = resamples(data, 20, seed=0)
    model = cost_model(data, counts)
    assert model.slopes[0] == pytest.approx([1, 1, 0], abs=0.02)
    assert (model.slopes[:, 2] == 0).all()
    design = np.column_stack([np.ones(len(data)), data.coordinates[:, :2]])
    for b in (0, 3):
        rows = np.repeat(np.arange(len(data)), counts[b].astype(int))
        exact = np.linalg.lstsq(design[rows], data.log_costs[rows], rcond=None)[0]
        assert [model.offset[b], *model.slopes[b, :2]] == pytest.approx(exact, abs=1e-5)


def test_derivatives_of_every_form_are_those_of_differences():
    space = Space(n=Log(1.0, role="scale"), d=Log(1.0, role="scale"), lr=Log(1.0), act=Choice("a", "b", "c"))
    rng = np.random.default_rng(0)
    some = []
    for _ in range(60):
        values = space.values_at(np.r_[rng.uniform(-1.5, 1.5, 3), rng.integers(3)])
        some.append((values, 1 + rng.random(), values["n"] * values["d"]))
    for minimized in (True, False):
        data = law_data(history(space, some, minimize=minimized))
        found = forms(data, cost_model(data, np.ones((1, 60))))
        assert [form.name for form in found] == ["n", "d", "the cost", "every size", "the cost alone"]
        for form in found:
            theta = 0.5 * rng.standard_normal((2, form.count))
            _, jacobian = form.curve(theta)
            for k in range(form.count):
                step = np.zeros(form.count)
                step[k] = 1e-5
                difference = (form.curve(theta + step)[0] - form.curve(theta - step)[0]) / 2e-5
                np.testing.assert_allclose(jacobian[:, :, k], difference, rtol=1e-6, atol=1e-8)


def test_the_path_is_the_constrained_minimum_by_brute_force():
    """A law with a dimension that costs something itself, so that its optimum bends away with the budget."""
    space = Space(n=Log(1.0, role="scale"), d=Log(1.0, role="scale"), epochs=Log(1.0), lr=Log(1.0))

    def loss(t):
        n, d, epochs, lr = t
        bowls = 0.3 * (epochs - 0.5) ** 2 + 0.4 * (lr - 0.2 + 0.5 * n) ** 2
        return 1 + 0.8 * 10 ** (-0.35 * n) + 0.6 * 10 ** (-0.25 * d) + bowls

    def log_cost(t):
        return t[0] + 0.8 * t[1] + 0.3 * t[2]

    rng = np.random.default_rng(0)
    some = []
    for _ in range(80):
        values = drawn(space, rng, reach=2.0)
        t = [log10(v) for v in values.values()]
        some.append((values, loss(t), 10 ** log_cost(t)))
    data = law_data(history(space, some))
    ones = np.ones((1, 80))
    cost = cost_model(data, ones)
    paths, _, form = parametric_paths(data, ones, cost, seed=0)
    assert form in ("n", "every size")
    levels = cost_levels(data)
    optima = []
    for level in levels:
        best = minimize(
            loss,
            [level / 2, level / 2, 0, 0],
            constraints={"type": "eq", "fun": lambda t, c=level: log_cost(t) - c},
        )
        optima.append([*best.x, best.fun])
    table = np.array(optima)
    for j in range(4):
        slope = np.polyfit(levels, table[:, j], 1)[0]
        assert paths.slopes[0, j] == pytest.approx(slope, abs=5e-3)
    assert abs(np.polyfit(levels, table[:, 2], 1)[0]) > 0.02  # the dimension that costs something does move
    for level, row in zip(levels, table, strict=True):
        assert paths.losses(level)[0] == pytest.approx(row[4], abs=0.01)


def test_a_law_of_the_cost_alone_is_followed_where_nothing_is_scaled():
    """Roles unknown, and losses that depend on how far everything is from its line along the cost."""
    space = Space(a=Log(1.0), b=Log(1.0))
    rng = np.random.default_rng(0)
    some = []
    for _ in range(60):
        log_cost = rng.uniform(0, 3)
        a, b = 0.5 * log_cost + 0.5 * rng.standard_normal(), -0.2 * log_cost + 0.5 * rng.standard_normal()
        loss = 1 + 10 ** (-0.3 * log_cost) + 0.5 * (a - 0.5 * log_cost) ** 2 + 0.7 * (b + 0.2 * log_cost) ** 2
        some.append(({"a": 10**a, "b": 10**b}, loss + 0.002 * rng.standard_normal(), 10**log_cost))
    data = law_data(history(space, some))
    # Nothing of the configuration says what it costs, as where the cost is the number of steps before a stop.
    model = cost_model(data, np.ones((1, 60)))
    data_cost = type(model)(model.offset, 0 * model.slopes, model.levels, model.residual, ())
    paths, _, form = parametric_paths(data, np.ones((1, 60)), data_cost, seed=0)
    assert form == "the cost alone"
    assert paths.slopes[0] == pytest.approx([0.5, -0.2], abs=0.01)
    assert paths.power[0] == pytest.approx(0.3, abs=0.02)


def test_the_frontier_law_is_found_with_and_without_a_floor():
    x = np.linspace(-2, 2, 12)
    losses = 0.4 + 1.3 * 10 ** (-0.31 * x)
    for floored, shift in ((True, 0.0), (False, -5.0)):
        floor, amplitude, power = fit_frontier(x, losses + shift, np.ones((2, 12)), floored=floored)
        assert floor == pytest.approx([0.4 + shift] * 2, abs=0.02)
        assert amplitude == pytest.approx([1.3] * 2, abs=0.02)
        assert power == pytest.approx([0.31] * 2, abs=0.01)


def test_intervals_are_of_the_resamples_about_the_value():
    rng = np.random.default_rng(0)
    draws = np.r_[0.0, rng.standard_normal(20_000) + 5.0]  # resamples that are all off by 5 are not believed
    some = np.zeros((20_001, 1))
    paths = Paths(0.0, some, some, draws, draws, draws, np.zeros((20_001, 0), int), widening=2.0)
    value, low, high = paths.interval(draws)
    assert value == 0
    assert (low, high) == pytest.approx((-3.29, 3.29), abs=0.1)
    lost = np.where(np.arange(20_001) % 3 == 0, draws, np.nan)
    assert paths.interval(lost)[1:] == (-np.inf, np.inf)


def test_the_law_is_believed_where_losses_have_its_form_and_the_surrogate_where_not(data):
    assert estimate(data, count=20, seed=0).preferred == "parametric"
    space = Space(n=Log(1.0, role="scale"), lr=Log(1.0))
    rng = np.random.default_rng(0)
    some = []
    for _ in range(80):
        values = drawn(space, rng)
        n, lr = (log10(v) for v in values.values())
        ridge = abs(lr - np.sin(2.5 * n))  # an optimum that swings, in a valley with a sharp bottom
        some.append((values, 3 - 0.8 * n + 3 * ridge + 0.01 * rng.standard_normal(), 10**n))
    found = estimate(law_data(history(space, some)), count=20, seed=0)
    assert found.preferred == "surrogate"
    assert "do not have the law's form" in found.reason
    assert found.errors["surrogate"] < found.errors["parametric"]


def test_outliers_of_bad_luck_do_not_move_exponents_much(data):
    rng = np.random.default_rng(0)
    unlucky = data.values.copy()
    unlucky[rng.permutation(len(data))[:4]] += 1.0
    clean, dirty = (estimate(d, count=20, seed=0).paths for d in (data, replace(data, values=unlucky)))
    for which, most in (("parametric", 0.01), ("surrogate", 0.08)):
        assert np.abs(clean[which].slopes[0] - dirty[which].slopes[0]).max() < most
