"""Claims of paper 15: their statistics, and flows whose change turns them red."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.claims import paper15
from similitude.core.verdict import Outcome


def test_distances_to_a_gaussian():
    g = torch.Generator().manual_seed(0)
    normal = torch.randn(200_000, generator=g, dtype=torch.float64)
    assert paper15._wasserstein(normal) < 0.006
    # Shifted by s it is s away, stretched by c it is (c - 1) E|z| away.
    assert paper15._wasserstein(normal + 0.5) == pytest.approx(0.5, abs=0.01)
    assert paper15._wasserstein(2 * normal) == pytest.approx((2 / np.pi) ** 0.5, rel=0.02)


def test_slopes_and_spreads():
    x = np.log([1.0, 2.0, 4.0])
    slope, low, high = paper15._slope(x, np.stack([-2 * x, -2 * x], 1))
    assert (slope, low, high) == pytest.approx((-2, -2, -2))
    q = np.random.default_rng(0).normal(1.0, 0.1, 20_000)
    value, half = paper15._scaled_variance(q, 100)
    assert value == pytest.approx(1.0, rel=0.05)
    assert half == pytest.approx(2 * (2 / 20_000) ** 0.5, rel=0.1)


@pytest.mark.parametrize("name", ["gaussian", "tangent_kernel"])
def test_quick_claims_hold(name):
    assert getattr(paper15, name)().verdict.ok


def test_a_kernel_without_the_part_of_the_slopes_turns_red(monkeypatch):
    monkeypatch.setattr(paper15, "resnet_ntk", lambda q0, *a: 2 * paper15.resnet_covariance(q0, *a))
    assert paper15.tangent_kernel().verdict.outcome is Outcome.INCONSISTENT


def _stronger(flow):
    """The flow with branches that are 15 % too large."""
    return lambda q0, *a, **k: flow(q0, *a, branch=1.15, **k)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flow"),
    [
        ("commute", lambda flow: lambda q0, *a: flow(q0, *a, branch=3.0)),
        ("depth_rate", _stronger),
        ("exponents", _stronger),
        ("gaussian", _stronger),
    ],
)
def test_a_mutated_flow_turns_the_claim_red(monkeypatch, name, flow):
    monkeypatch.setattr(paper15, "resnet_covariance", flow(paper15.resnet_covariance))
    assert getattr(paper15, name)().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_a_mutated_profile_turns_the_correlation_red(monkeypatch):
    monkeypatch.setattr(paper15, "covariance_profile", _stronger(paper15.covariance_profile))
    assert paper15.correlation().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_branches_of_another_size_turn_the_fluctuations_red(monkeypatch):
    def weaker(*args, **options):
        return original(*args, **{**options, "gamma": 0.75})

    original = paper15.residual_streams
    monkeypatch.setattr(paper15, "residual_streams", weaker)
    assert paper15.fluctuations().verdict.outcome is Outcome.INCONSISTENT
