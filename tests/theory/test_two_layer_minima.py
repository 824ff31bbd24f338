"""Where two-layer linear networks come to rest: closed forms against slow training, stability against runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.core.errors import PlanError
from similitude.theory.two_layer_linear import TwoLayerLinear
from similitude.theory.two_layer_minima import fixed_point, flattest_minimum, minimum, origin


def scalar(kappa: float, target: float, e: float = 1.0, v: float = 1.0, w: float = 0.0, s: float = 1.0):
    """A network on one feature."""
    return TwoLayerLinear(np.array([[s]]), np.array([s * target]), np.array([w]), np.array([[e]]), v, kappa)


def whitened(features: int, *, examples: int = 30, size: float = 3.0, seed: int = 0):
    """Inputs of exactly equal variance in all directions that they have, and targets."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((max(examples, features), min(examples, features))))[0]
    X = q * math.sqrt(examples) if examples >= features else q.T * math.sqrt(examples)
    return X, size * rng.standard_normal(examples)


def flowed(net: TwoLayerLinear) -> TwoLayerLinear:
    """What training at a tiny rate comes to."""
    run = net.run(0.004 / max(net.final_sharpness(), net.sharpness()), 12000)
    assert run.residual[-1] < 1e-5 * run.residual[0]
    return run.final


CASES = {
    "balanced": scalar(1.0, 2.0),
    "unbalanced": scalar(0.1, 1.0, e=0.3, v=0.1),
    "other way": scalar(0.1, -1.0, e=0.1, v=0.3),
    "lazy": scalar(1e-4, 2.0, e=0.1, v=0.1),
    "kernel": scalar(0.0, 2.0),
    "from beyond": scalar(0.5, 0.2, e=1.0, v=1.0, w=1.2),
    "wide inputs": scalar(0.5, 2.0, e=0.5, v=0.5, s=3.0),
    "mup": TwoLayerLinear.limit("mup", *whitened(5)),
    "fewer examples than features": TwoLayerLinear.limit("mup", *whitened(6, examples=4)),
    "another direction is sharpest": TwoLayerLinear(
        np.eye(2), np.array([0.2, 0.0]), np.array([1.0, 0.0]), np.diag([1.0, 1.5]), 1.0, 0.9
    ),
}


BROAD = {"other way", "kernel", "wide inputs", "from beyond", "fewer examples than features"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in BROAD else n for n in CASES]
)
def test_the_final_sharpness_is_that_of_slow_training(name):
    net = CASES[name]
    assert flowed(net).sharpness() == pytest.approx(net.final_sharpness(), rel=2e-3)


def test_nothing_to_learn_leaves_the_sharpness():
    net = TwoLayerLinear(np.eye(2), np.zeros(2), np.zeros(2), np.eye(2), 1.0, 0.5)
    assert net.final_sharpness() == net.sharpness() == 2.0


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (TwoLayerLinear.limit("mup", np.diag([1.0, 2.0]), [1, 1]), "S = X'X / P go from 0.5 to 2"),
        (
            TwoLayerLinear(np.eye(2), np.array([1.0, 0]), np.array([0.0, 0.5]), np.eye(2), 1, 0.5),
            "has 1 of its length across u",
        ),
        (scalar(1.0, 1.0, e=0.5, v=0.5, w=-0.5), "gradient flow ends at w = 0"),
    ],
)
def test_where_there_is_no_formula_training_is_recommended(net, message):
    with pytest.raises(PlanError, match=message):
        net.final_sharpness()


@pytest.mark.parametrize(
    "name", ["unbalanced", "mup", *(pytest.param(n, marks=pytest.mark.slow) for n in ("balanced", "lazy"))]
)
def test_rates_up_to_the_stable_one_converge_and_others_do_not(name):
    net = CASES[name]
    largest = net.max_stable_lr()
    for factor in (0.5, 0.9, 0.98):
        run = net.run(factor * largest, 3000)
        assert run.residual[-1] < 1e-6 * run.residual[0]
        assert factor * largest * run.final.sharpness() < 2
    beyond = net.run(1.02 * largest, 3000)
    assert beyond.diverged or beyond.residual[-1] > 1e-3 * beyond.residual[0]
    assert largest <= 1.003 * 2 / flattest_minimum(net).sharpness()
    assert 1.0 < largest * net.final_sharpness() / 2 < 2.0


def test_between_the_two_edges_training_oscillates_into_a_flatter_minimum():
    net = CASES["balanced"]
    slow, flat = net.final_sharpness(), flattest_minimum(net).sharpness()
    assert (slow, flat) == pytest.approx((20**0.5, 4.0))
    eta = 2 / (0.95 * slow)
    run = net.run(eta, 2000)
    r = np.array([float(state.residual[0]) for state in run])
    assert (r[10:30] * r[11:31] < 0).all()
    assert r[-1] == pytest.approx(0, abs=1e-9)
    assert flat < run.final.sharpness() < 2 / eta < slow


def test_a_layer_without_movement_is_linear_regression():
    net = CASES["kernel"]
    assert net.max_stable_lr() == pytest.approx(1.0)
    assert net.run(0.99, 800).residual[-1] < 1e-6
    assert net.run(1.01, 800).residual[-1] > 100


def test_no_minimum_is_flatter():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)) * [1, 2, 3, 0.3], rng.standard_normal(20)
    net = TwoLayerLinear.limit("mup", X, y)
    flat = flattest_minimum(net)
    assert flat.sharpness() == pytest.approx(flat.gauss_newton_sharpness())
    for _ in range(60):
        v = flat.v * math.exp(rng.standard_normal() * 0.3)
        extra = 0.1 * rng.standard_normal((4, rng.integers(1, 4)))
        other = minimum(net, e=net.kappa * np.outer(flat.w, flat.w) / v + extra @ extra.T, v=v)
        assert other.sharpness() > flat.sharpness()
    assert flattest_minimum(CASES["mup"]).sharpness() == pytest.approx(
        2 * math.sqrt(0.2) * np.linalg.norm(CASES["mup"].b)
    )
    assert flattest_minimum(CASES["kernel"]).sharpness() == 2.0
    assert flattest_minimum(TwoLayerLinear(np.eye(1), [0.0], [0.0], np.eye(1), 1.0, 1.0)).sharpness() == 0


@pytest.mark.parametrize("eta", [0.3, 0.6])
def test_minima_are_stable_below_two_over_eta(eta):
    """A run that starts beside the minimum returns to it where it is stable, and leaves it where not."""
    at = minimum(CASES["balanced"], e=np.array([[2.0]]), v=2.5)
    found = fixed_point(at, eta=eta)
    assert found is not None
    assert (found.kind, found.sharpness) == ("minimum", pytest.approx(4.5))
    assert found.lowest == pytest.approx(0, abs=1e-12)
    beside = TwoLayerLinear(at.S, at.b, at.w + 1e-6, at.e, at.v, at.kappa)
    residual = beside.run(eta, 60).residual
    assert found.stable == (residual[-1] < residual[0]) == (eta == 0.3)


def test_the_origin_is_a_saddle_and_a_start_is_none():
    net = CASES["mup"]
    found = fixed_point(origin(net), eta=0.01)
    assert found is not None
    assert (found.kind, found.stable) == ("saddle", False)
    edge = math.sqrt(net.kappa) * np.linalg.norm(net.b)
    assert (found.sharpness, found.lowest) == pytest.approx((edge, -edge))
    assert origin(net).step(0.1).residual == pytest.approx(origin(net).residual)
    assert fixed_point(net, eta=0.01) is None


def test_a_run_that_ran_away_says_so_and_has_no_fixed_point():
    ran = CASES["mup"].run(100.0, 500)
    assert ran.diverged
    assert f"diverged after step {len(ran.states) - 1}" in repr(ran)
    assert "diverged" not in repr(CASES["mup"].run(0.01, 5))
    assert np.isnan(ran.sharpness[len(ran.states) :]).all()
    assert fixed_point(ran.final, eta=100.0) is None
    with pytest.raises(PlanError, match="have overflowed: training ran away"):
        fixed_point(ran.final.step(100.0), eta=100.0)


def test_a_first_layer_across_the_residual_is_a_saddle_too():
    net = TwoLayerLinear(np.eye(2), np.array([1.0, 0]), np.zeros(2), np.diag([0.0, 1]), 0.0, 0.5)
    found = fixed_point(net, eta=0.1)
    assert found is not None
    assert found.kind == "saddle"
    assert found.lowest < 0


def test_wrong_arguments_are_named():
    net = CASES["balanced"]
    with pytest.raises(PlanError, match="no network has these"):
        minimum(net, v=0.1)
    with pytest.raises(PlanError, match="eta=-1"):
        fixed_point(net, eta=-1)
    with pytest.raises(PlanError, match="goes nowhere with steps=3000"):
        origin(net).max_stable_lr()
    with pytest.raises(PlanError, match="goes nowhere with steps=1"):
        TwoLayerLinear.limit("mup", np.diag([1.0, 30.0]), [1, 1]).max_stable_lr(steps=1)
