"""Diagonal linear networks: the limit against gradient flow, plain gradient descent, and a linear program."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from similitude.core.errors import TheoryError
from similitude.theory import AlternatingGradientFlow, diagonal_linear


def turned_back():
    """Two coordinates of which the first is learned, unlearned and learned again with the other sign."""
    turn = np.deg2rad(150)
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    X = np.linalg.cholesky(R @ np.diag([1.0, 25.0]) @ R.T)
    return X, X @ np.array([-0.2, 2.0])


def designs():
    rng = np.random.default_rng(10)
    yield turned_back()
    for n, d in ((20, 5), (30, 8)):
        X = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5
        yield X, X @ (10 * rng.normal(size=d))
    X = rng.normal(size=(15, 20)) * np.arange(1, 21) ** -0.5
    yield X, X @ (3 * rng.normal(size=20) * (rng.random(20) < 0.5))


def difference(X, y, alpha):
    agf = AlternatingGradientFlow(diagonal_linear(X, y, alpha=alpha))
    return agf.compare(agf.flow(points=4000)).mean_difference


@pytest.mark.parametrize("case", range(4))
def test_the_error_is_inverse_to_the_logarithm_of_alpha(case):
    X, y = list(designs())[case]
    found = [difference(X, y, alpha) for alpha in (1e-6, 1e-12, 1e-24, 1e-48)]
    assert found[2] <= 0.002
    for larger, smaller in itertools.pairwise(found):
        assert 1.6 < larger / smaller < 2.4


def test_a_coordinate_that_is_unlearned_comes_back_from_where_it_left():
    X, y = turned_back()
    stairs = diagonal_linear(X, y).limit()
    assert stairs.order == (0, 1, 0)
    assert stairs.features[1, 0] > 0.1
    assert stairs.features[2, 0] == 0
    assert stairs.features[3] == pytest.approx([-0.2, 2.0])


@pytest.mark.slow
def test_twenty_random_problems_learn_coordinates_in_order():
    rng, tried, seen = np.random.default_rng(0), 0, 0
    while seen < 20:
        tried += 1
        X = rng.standard_normal((30, 4))
        y = X @ (rng.standard_normal(4) * np.array([4.0, 2.0, 1.0, 0.5])) + 0.1 * rng.standard_normal(30)
        agf = AlternatingGradientFlow(diagonal_linear(X, y, alpha=1e-24))
        times = agf.run().times
        if (times[1:] < 1.1 * times[:-1]).any() or (agf.run().sizes < 0.01 * agf.run().levels[0]).any():
            continue
        found = agf.compare(agf.flow(), time=0.05, size=0.03)
        assert found.same_order is True
        assert found.verdict.ok, str(found.verdict)
        seen += 1
    assert tried < 200


def test_the_end_is_the_interpolation_of_least_norm():
    """With more weights than samples the flow ends at the smallest sum of absolute values (a linear program)."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        X, y = rng.standard_normal((4, 9)), rng.standard_normal(4)
        beta = diagonal_linear(X, y).limit().features[-1]
        best = linprog(np.ones(18), A_eq=np.hstack([X, -X]), b_eq=y)
        assert np.allclose(X @ beta, y)
        assert np.abs(beta).sum() == pytest.approx(best.fun, rel=1e-8)


def test_the_flow_is_gradient_descent_on_both_factors():
    X, y = turned_back()
    problem = diagonal_linear(X, y, alpha=1e-2)
    flow = problem.flow(4.0, points=9)
    u, v = torch.full((2,), math.sqrt(2) * 1e-2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    inputs, targets, step, losses = torch.from_numpy(X), torch.from_numpy(y), 1e-3, []
    for k in range(4001):
        u, v = u.requires_grad_(), v.requires_grad_()
        loss = ((inputs @ (u * v) - targets) ** 2).mean() / 2
        if k % 500 == 0:
            losses.append(loss.item())
        gu, gv = torch.autograd.grad(loss, (u, v))
        u, v = (u - step * gu).detach(), (v - step * gv).detach()
    assert flow.losses == pytest.approx(losses, abs=5e-3)


def test_the_general_loop_agrees_with_the_limit():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 4))
    y = X @ np.array([3.0, -2.0, 1.0, 0.5])
    problem = diagonal_linear(X, y, alpha=1e-12)
    loop, limit = AlternatingGradientFlow(problem, numerical=True).run(), problem.limit()
    assert loop.order == limit.order
    assert loop.times == pytest.approx(limit.times, rel=0.05)
    assert loop.levels == pytest.approx(limit.levels, abs=1e-4 * limit.levels[0])


@pytest.mark.parametrize("size", [1e-6, 1e3])
def test_the_general_loop_does_not_depend_on_the_size_of_targets(size):
    X = np.random.default_rng(0).standard_normal((30, 4))
    problem = diagonal_linear(X, size * (X @ np.array([3.0, -2.0, 1.0, 0.5])), alpha=1e-12)
    loop, limit = AlternatingGradientFlow(problem, numerical=True).run(), problem.limit()
    assert loop.order == limit.order
    assert loop.times == pytest.approx(limit.times, rel=0.05)
    assert loop.levels == pytest.approx(limit.levels, abs=1e-4 * limit.levels[0])


def test_the_general_loop_puts_neurons_back_to_sleep():
    """It stops there: the sign to come is a part of alpha^2 of the direction, below double precision."""
    X, y = turned_back()
    problem = diagonal_linear(X, y, alpha=1e-24)
    limit = problem.limit()
    loop = AlternatingGradientFlow(problem, numerical=True, until=limit.times[2] * 1.2).run()
    assert loop.order == limit.order[:2]
    assert loop.times == pytest.approx(limit.times[:3], rel=0.05)
    assert loop.features[1, 0] == pytest.approx(limit.features[1, 0], rel=1e-3)
    assert loop.features[2] == pytest.approx(limit.features[2], abs=1e-3)


def test_ties_are_reported_and_edges_have_no_drops():
    tied = diagonal_linear(np.sqrt(2) * np.eye(2), np.sqrt(2) * np.ones(2)).limit()
    assert len(tied.order) == 1
    assert "coordinates 0, 1 become active at the same time" in tied.notes[0]
    assert diagonal_linear(np.eye(3), np.zeros(3)).limit().order == ()
    twins = diagonal_linear(np.ones((3, 2)), np.arange(3.0)).limit()
    assert twins.levels[-1] == pytest.approx(np.var(np.arange(3.0)) / 2)


def test_wrong_arguments_are_named():
    with pytest.raises(TheoryError, match=r"X has shape \(3, 2\) and y \(2,\)"):
        diagonal_linear(np.ones((3, 2)), np.ones(2))
    with pytest.raises(TheoryError, match="alpha=2"):
        diagonal_linear(np.ones((3, 2)), np.ones(3), alpha=2)
    with pytest.raises(TheoryError, match="not finite"):
        diagonal_linear(np.ones((1, 1)), [math.nan])
