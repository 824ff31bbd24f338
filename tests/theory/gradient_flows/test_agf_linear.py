"""Fully connected linear networks: both rules against gradient flow, and the choice between them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory import AlternatingGradientFlow, linear
from similitude.theory.gradient_flows.linear_rules import crossings


def rotation(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def commuting(variances, gains, seed=0):
    """Moments of inputs of some variances along the axes of maps of some gains."""
    rng = np.random.default_rng(seed)
    U, V = rotation(rng, len(gains)), rotation(rng, len(gains))
    Sxx = V @ np.diag(variances) @ V.T
    return Sxx, U @ np.diag(gains) @ V.T @ Sxx


CROSSED = commuting([2, 0.3, 1, 0.8, 0.5], [1.5, 4.5, 1.0, 0.5, 0])
CASES = {
    "whitened": commuting(np.ones(5), [4, 2, 1.2, 0.7, 0]),
    "in order": commuting([2, 1.5, 1, 0.8, 0.5], [3, 2, 1.5, 1, 0]),
    "crossed": CROSSED,
}


def mixed(mixing):
    """The moments with crossed modes, their inputs no longer along the axes."""
    Z = np.random.default_rng(5).normal(size=(5, 5))
    Sxx = CROSSED[0] + 0.15 * mixing * (Z + Z.T)
    return Sxx, CROSSED[1] @ np.linalg.inv(CROSSED[0]) @ Sxx


def off(agf):
    found = agf.compare(agf.flow())
    return max(abs(drop.time_error) for drop in found.drops), found


@pytest.mark.parametrize("name", CASES)
def test_the_limit_is_that_of_gradient_flow(name):
    errors = []
    for alpha in (1e-4, 1e-8, 1e-12):
        error, found = off(AlternatingGradientFlow(linear(*CASES[name], width=12, alpha=alpha)))
        errors.append(error)
        assert found.same_order is True
    assert errors[2] < 0.05
    assert errors[0] / errors[2] == pytest.approx(3, rel=0.1)  # as 1 / log(1 / alpha)
    assert found.verdict.ok
    assert max(abs(d.size - d.measured_size) for d in found.drops) < 1e-3 * 6


def test_where_modes_are_crossed_the_conjecture_stays_wrong():
    errors = [
        off(AlternatingGradientFlow(linear(*CROSSED, alpha=alpha, rule="sequential")))[0]
        for alpha in (1e-4, 1e-8, 1e-12)
    ]
    assert min(errors) > 0.3


@pytest.mark.parametrize("mixing", [0.02, 0.1])
def test_crossed_modes_are_found_where_covariances_nearly_commute(mixing):
    problem = linear(*mixed(mixing), alpha=1e-12)
    assert problem.crossings
    assert problem.limit().alternative is None
    error, found = off(AlternatingGradientFlow(problem))
    assert found.same_order is True
    assert error < 0.1
    wrong, _ = off(AlternatingGradientFlow(linear(*mixed(mixing), alpha=1e-12, rule="sequential")))
    assert wrong > error


def test_where_it_cannot_be_told_both_staircases_are_returned():
    Sxx = np.array([[2.0, 0.09], [0.09, 0.3]])
    found = linear(Sxx, np.diag([1.5, 4.5]) @ Sxx, alpha=1e-12).limit()
    assert "theory does not decide" in found.notes[0]
    assert found.alternative is not None
    assert found.order == (0, 1)
    assert found.alternative.order == (1, 0)


def test_without_crossed_modes_a_difference_between_the_rules_is_said():
    problem = linear(*mixed(0.15), alpha=1e-12)
    found = problem.limit()
    assert not problem.crossings
    assert "covariances do not commute" in found.notes[0]
    assert found.alternative is not None
    flow = AlternatingGradientFlow(linear(*mixed(0.15), alpha=1e-12, rule="modes"))
    assert off(flow)[0] < 0.1  # here the alternative is right


def test_the_rate_of_escape_is_an_eigenvalue_of_the_hessian():
    (pair,) = crossings(*CROSSED, clock=27.6)
    Sxx, Syx = (torch.from_numpy(m) for m in CROSSED)
    U, s, Vt = torch.linalg.svd(Syx)
    gain = s[0] / (Vt[0] @ Sxx @ Vt[0])
    at = torch.cat([U[:, 0], Vt[0]]) * gain.sqrt()

    def loss(theta):
        M = torch.outer(theta[:5], theta[5:])
        return (M @ Sxx * M).sum() / 2 - (M * Syx).sum()

    assert torch.autograd.functional.jacobian(loss, at).abs().max() < 1e-12
    lowest = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, at))[0]
    assert pair.escape == pytest.approx(-float(lowest))
    assert (pair.first, pair.second) == (0, 1)
    assert pair.coupling < 1e-12
    assert math.isinf(pair.patience)


@pytest.mark.slow
def test_twenty_random_problems_learn_modes_in_order():
    rng, crossed = np.random.default_rng(1), 0
    for _ in range(20):
        speeds = 3 * np.cumprod(rng.uniform(0.5, 0.8, size=4))
        variances = rng.uniform(0.3, 2.0, size=4)
        problem = linear(
            *commuting(variances, speeds / variances, seed=int(rng.integers(1 << 30))), alpha=1e-12
        )
        crossed += bool(problem.crossings)
        agf = AlternatingGradientFlow(problem)
        error, found = off(agf)
        assert found.same_order is True
        assert error < 0.05
        assert agf.run().times[1:] / agf.run().clock == pytest.approx(1 / speeds)
    assert crossed >= 5


def test_push_is_minus_the_gradient_of_the_loss():
    problem = linear(*CROSSED, width=3, floor=0.5)
    at = np.random.default_rng(0).standard_normal(problem.start.shape)
    Sxx, Syx = (torch.from_numpy(m) for m in CROSSED)

    def loss(neurons):
        M = neurons[:, :5].T @ neurons[:, 5:]
        return (M @ Sxx * M).sum() / 2 - (M * Syx).sum()

    gradient = torch.autograd.functional.jacobian(loss, torch.from_numpy(at))
    assert problem.push(at, at) == pytest.approx(-gradient.numpy())
    assert problem.loss(at) - problem.loss(0 * at) == pytest.approx(float(loss(torch.from_numpy(at))))
    assert linear(*CROSSED, floor=0.5).limit().levels[-1] == pytest.approx(0.5)


def test_features_of_the_best_map_are_one():
    Sxx, Syx = CROSSED
    problem = linear(Sxx, Syx)
    U, s, Vt = np.linalg.svd(Syx @ np.linalg.inv(Sxx))
    rows = np.sqrt(s)[:, None] * np.hstack([U.T, Vt])
    assert problem.features(rows) == pytest.approx(np.ones(4))
    assert problem.loss(rows) == pytest.approx(0, abs=1e-12)


def test_a_narrow_network_learns_as_many_modes_as_it_has_neurons():
    stairs = linear(*CASES["whitened"], width=2).limit()
    assert len(stairs.order) == 2
    assert stairs.levels[-1] == pytest.approx((1.2**2 + 0.7**2) / 2)


def test_wrong_arguments_are_named():
    with pytest.raises(TheoryError, match=r"covariance has shape \(2, 2\) and cross \(3, 3\)"):
        linear(np.eye(2), np.eye(3))
    with pytest.raises(TheoryError, match="smallest eigenvalue is -1"):
        linear(np.diag([1.0, -1.0]), np.eye(2))
    with pytest.raises(TheoryError, match="cross is zero"):
        linear(np.eye(2), np.zeros((2, 2)))
    with pytest.raises(TheoryError, match=r"a share 0\.71 of cross lies where the inputs have no variance"):
        linear(np.diag([1.0, 0.0]), np.eye(2))
    with pytest.raises(TheoryError, match="width=0"):
        linear(np.eye(2), np.eye(2), width=0)
    with pytest.raises(TheoryError, match="rule='fast'"):
        linear(np.eye(2), np.eye(2), rule="fast")  # type: ignore[arg-type]
