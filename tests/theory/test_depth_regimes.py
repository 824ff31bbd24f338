"""The map of depth parametrizations against deep networks at random, and correlations against Monte Carlo."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import integrate, stats

from similitude.core.errors import PlanError
from similitude.theory.depth import DEPTH_POINTS, classify, phi_correlation


def stream_at_init(alpha: float, depth: int, width: int = 96) -> float:
    """Root mean square behind the last of `depth` linear branches x L^-alpha, the input's being 1."""
    g = torch.Generator().manual_seed(depth)
    x = torch.randn(width, generator=g, dtype=torch.float64)
    for _ in range(depth):
        weight = torch.randn(width, width, generator=g, dtype=torch.float64) / width**0.5
        x = x + depth**-alpha * (weight @ x)
    return float(x.square().mean().sqrt())


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_stability_at_initialization_is_that_of_random_networks(alpha):
    growth = stream_at_init(alpha, 256) / stream_at_init(alpha, 16)
    assert classify(alpha, 1 - alpha).stable_at_init == (growth < 1.5)


def outputs_after_a_step(alpha: float, lr_exponent: float, depth: int, width: int = 64) -> float:
    """Change of the output of x + L^-alpha relu(W x) by one sign step of all branches, the rate x L^-lr_exponent."""
    g = torch.Generator().manual_seed(1)
    x0 = torch.randn(width, generator=g, dtype=torch.float64)
    readout = torch.randn(width, generator=g, dtype=torch.float64) / width
    weights = torch.randn(depth, width, width, generator=g, dtype=torch.float64) / width**0.5
    weights.requires_grad_()

    def run() -> torch.Tensor:
        x = x0
        for weight in weights:
            y = torch.relu(weight @ x)
            x = x + depth**-alpha * (y - y.mean())
        return readout @ x

    before = run()
    (gradient,) = torch.autograd.grad(before, weights)
    with torch.no_grad():
        weights -= 0.02 / width * depth**-lr_exponent * gradient.sign()
        return abs(float(run() - before))


@pytest.mark.parametrize(
    ("alpha", "lr_exponent"), list(itertools.product([0.5, 0.75, 1.0], [-0.5, 0.0, 0.5, 1.0]))
)
def test_stability_in_training_is_that_of_one_step(alpha, lr_exponent):
    low, high = (outputs_after_a_step(alpha, lr_exponent, depth) for depth in (16, 128))
    exponent = math.log(high / low) / math.log(8)
    regime = classify(alpha, lr_exponent)
    expected = 1 - alpha - lr_exponent
    # A change past the first order saturates or takes off, which bends the exponent but not its sign.
    assert exponent == pytest.approx(expected, abs=0.12 if expected <= 0 else 0.5)
    assert regime.stable_in_training == (exponent < 0.12)
    assert regime.nontrivial == (exponent > -0.12)


@pytest.mark.parametrize(
    ("name", "label", "diversity"),
    [
        ("Depth-muP", "diverse layers", 0.5),
        ("CompleteP", "redundant layers", 0.0),
        ("branches alone", "blows up in training", None),
        ("standard", "blows up at initialization", None),
    ],
)
def test_named_points(name, label, diversity):
    regime = classify(*DEPTH_POINTS[name])
    assert (regime.label, regime.feature_diversity) == (label, diversity)
    assert label in str(regime)
    assert regime.faithful == (diversity is not None)


def test_layers_are_linear_in_their_updates_where_these_vanish():
    assert classify(0.5, 0.5).linearised
    assert classify(0.9, 0.1).linearised
    assert classify(1.0, 0.0).linearised is False


def test_preactivations_blow_up_where_the_rate_must_grow_with_depth():
    regime = classify(1.25, -0.25)
    assert regime.stable_in_training
    assert regime.nontrivial
    assert not regime.faithful
    assert regime.label == "preactivations blow up"


def test_an_exponent_that_is_none_is_refused():
    with pytest.raises(PlanError, match="lr_exponent=nan is no exponent"):
        classify(0.5, math.nan)


@pytest.mark.parametrize("std", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("name", ["tanh", "gelu", "relu6", "silu"])
def test_correlations_are_those_of_adaptive_quadrature(name, std):
    phi = getattr(torch, name, None) or getattr(torch.nn.functional, name)

    def slope(z: float) -> float:
        x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(phi(x), x)[0])

    def mean(power: int) -> float:
        value, _ = integrate.quad(
            lambda z: slope(std * z) ** power * stats.norm.pdf(z), -9, 9, points=[0, 6 / std], limit=200
        )
        return value

    assert phi_correlation(phi, std=std) == pytest.approx(mean(1) ** 2 / mean(2), abs=1e-4)


def test_correlations_of_kinks_are_exact():
    assert phi_correlation(torch.relu) == pytest.approx(0.5, abs=1e-12)
    assert phi_correlation(torch.abs) == pytest.approx(0.0, abs=1e-12)
    leaky = phi_correlation(lambda z: torch.nn.functional.leaky_relu(z, 0.2), std=3.0)
    assert leaky == pytest.approx(0.6**2 / ((1 + 0.04) / 2), abs=1e-12)


def test_what_has_no_correlation_is_refused():
    with pytest.raises(PlanError, match="phi is constant"):
        phi_correlation(lambda z: 0 * z)
    with pytest.raises(PlanError, match="phi has no gradient"):
        phi_correlation(lambda z: z.detach())
    with pytest.raises(PlanError, match="std=0 is no standard deviation"):
        phi_correlation(torch.tanh, std=0)
