"""Claims of paper 8 on finite width: the networks they are measured on, and constants whose change turns them red."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from similitude.claims import paper08_finite_width as claims
from similitude.claims.random_nets import covariances, plain_preactivations, residual_streams, tangent_kernels
from similitude.core.verdict import Outcome
from similitude.theory.finite_width.criticality import Criticality


def test_plain_networks_have_the_variances_they_are_drawn_with():
    x = torch.ones(1, 40)
    first, second = plain_preactivations(x, [300, 200], phi=torch.relu, C_W=1.6, C_b=0.5, networks=60, seed=1)
    assert first.shape == (60, 1, 300)
    assert float(first.square().mean()) == pytest.approx(2.1, rel=0.03)
    assert float(second.square().mean()) == pytest.approx(1.6 * 2.1 / 2 + 0.5, rel=0.05)


def test_residual_networks_start_from_their_covariance():
    q0 = torch.tensor([[1.0, 0.4], [0.4, 2.0]])
    start, end = residual_streams(q0, 400, depth=4, networks=50, seed=2, stops=(0, 4))
    assert torch.allclose(covariances(start).mean(0), q0.double(), atol=0.05)
    assert float(covariances(end)[:, 0, 0].mean()) == pytest.approx((1 + 1 / 8) ** 4, rel=0.03)


def test_tangent_kernels_have_the_mean_of_theory():
    theta = tangent_kernels([200, 100], networks=200, seed=3)
    assert float(theta.mean()) == pytest.approx(6, rel=0.05)
    # One network again, by the sum over all weights of finite differences of its output.
    sizes = [5, 6, 1]
    g = torch.Generator().manual_seed(4)
    weights = [torch.randn(a, b, generator=g, dtype=torch.float64) for a, b in itertools.pairwise(sizes)]

    def output() -> float:
        h = torch.ones(1, 5, dtype=torch.float64)
        for i, weight in enumerate(weights):
            h = (h.relu() if i else h) @ weight * math.sqrt(2 / len(weight))
        return float(h)

    total, base = 0.0, output()
    for weight in weights:
        for entry in range(weight.numel()):
            weight.view(-1)[entry] += 1e-6
            total += ((output() - base) / 1e-6) ** 2
            weight.view(-1)[entry] -= 1e-6
    for weight in weights:
        weight.requires_grad_()
    h = torch.ones(1, 5, dtype=torch.float64)
    for i, weight in enumerate(weights):
        h = (h.relu() if i else h) @ weight * math.sqrt(2 / len(weight))
    gradients = torch.autograd.grad(h.sum(), weights)
    assert sum(float(each.square().sum()) for each in gradients) == pytest.approx(total, rel=1e-4)


def test_the_catapult_holds_and_a_wrong_window_turns_it_red(monkeypatch):
    assert claims.catapult().verdict.ok
    monkeypatch.setattr("similitude.theory.finite_width.catapult.DIVERGENT", 3.5)
    wrong = claims.catapult()
    assert wrong.verdict.outcome is Outcome.INCONSISTENT
    assert wrong.value == pytest.approx(35 / 40)


def _shifted(found: Criticality) -> Criticality:
    return Criticality(found.variance, found.chi_perp, found.chi_par, 1.1 * found.depth_scale, found.phase)


MUTATIONS = {
    "depth_scale": ("criticality", lambda f: lambda *a, **k: _shifted(f(*a, **k))),
    "critical": ("critical_line", lambda f: lambda *a: 1.08 * f(*a)),
    "log_normal": ("relu_log_normal", lambda f: lambda widths: 1.2 * f(widths)),
    "ntk_fluctuation": ("ntk_relative_second_moment", lambda f: lambda widths: 1.03 * f(widths)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_constant_turns_the_claim_red(monkeypatch, name):
    target, mutate = MUTATIONS[name]
    monkeypatch.setattr(claims, target, mutate(getattr(claims, target)))
    assert getattr(claims, name)().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_a_mutated_recursion_turns_the_fourth_cumulant_red(monkeypatch):
    def wider(phi, widths, **options):
        return original(phi, [int(1.25 * n) for n in widths], **options)

    original = claims.variance_cumulants
    monkeypatch.setattr(claims, "variance_cumulants", wider)
    assert claims.fourth_cumulant().verdict.outcome is Outcome.INCONSISTENT
