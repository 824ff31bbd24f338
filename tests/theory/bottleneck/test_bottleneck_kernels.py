"""Kernels of heads, starts and limits of bottlenecks: against random features, finite nets and differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.bottleneck.heads import erf_kernel, linear_kernel, relu_kernel, wide_head
from similitude.theory.bottleneck.limit import bottleneck_start, without_bottleneck
from similitude.theory.bottleneck.segment import Moving
from tests.theory.bottleneck.bottleneck_nets import WideNet, tangent_kernel

KERNELS = {"erf": erf_kernel, "relu": relu_kernel, "linear": linear_kernel}
PHI = {"erf": torch.erf, "relu": torch.relu, "linear": torch.clone}


def points(count: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("phi", KERNELS)
@pytest.mark.parametrize("d", [1, 3])
def test_kernels_are_means_over_random_units(phi, d):
    h, other = points(4, d), points(3, d, 1)
    units = 400_000
    u = points(d, units, 2)

    def features(x):
        z = (x @ u / math.sqrt(d)).requires_grad_()
        values = PHI[phi](z)
        return values.detach(), torch.autograd.grad(values.sum(), z)[0]

    (a, slope_a), (b, slope_b) = features(h), features(other)
    S = h @ other.T / d
    terms = a[:, None] * b[None] + S[..., None] * slope_a[:, None] * slope_b[None]
    error = terms.std(-1) / math.sqrt(units)
    off = (KERNELS[phi](h, other) - terms.mean(-1)).abs()
    assert bool((off <= 4 * error + 1e-12).all())


@pytest.mark.parametrize("phi", KERNELS)
def test_slopes_of_kernels(phi):
    h, other = points(3, 4), points(2, 4, 1)
    at = h.clone().requires_grad_()
    found = torch.stack(
        [torch.autograd.grad(KERNELS[phi](at, other)[:, b].sum(), at)[0] for b in range(2)], 1
    )  # (a, b, d)
    step = 1e-6
    for j in range(4):
        shift = torch.zeros(4, dtype=torch.float64)
        shift[j] = step
        numeric = (KERNELS[phi](h + shift, other) - KERNELS[phi](h - shift, other)) / (2 * step)
        assert float((found[..., j] - numeric).abs().max()) < 1e-8


def test_the_kernel_of_relu_at_its_cone():
    """At coinciding and opposite points, and at zero, it has its limits, and slopes that are numbers."""
    h = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = relu_kernel(h, h.detach()[:1])
    assert found.flatten().tolist() == pytest.approx([2.5, 0.0, 0.0], abs=1e-12)
    assert bool(torch.autograd.grad(found.sum(), h)[0].isfinite().all())


@pytest.mark.parametrize("phi", KERNELS)
def test_a_head_starts_as_its_own_gaussian_process(phi):
    h = points(3, 2)
    draws = torch.cat([wide_head(2, 200, phi=phi, width=400, seed=s).start(h) for s in range(10)], 1)
    covariance = draws @ draws.T / draws.shape[1]
    tangent = KERNELS[phi](h, h)
    # K = Theta - (slopes of K), and K alone is that of the limit of wide bottlenecks with the same covariance.
    expected = without_bottleneck(h @ h.T / 2, torch.zeros(3, 3), phi=PHI[phi]).nngp
    assert np.abs(covariance.numpy() - expected).max() < 4 * float(tangent.max()) / math.sqrt(2000) + 0.01


def test_starts_of_a_bottleneck():
    gram = [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    h = bottleneck_start(gram, 20_000, seed=3)
    assert np.abs((h @ h.T / 20_000).numpy() - gram).max() < 0.06
    assert torch.equal(h, bottleneck_start(gram, 20_000, seed=3))
    with pytest.raises(TheoryError, match="nngp has the eigenvalue -1"):
        bottleneck_start([[1.0, 2.0], [2.0, 1.0]], 2)
    with pytest.raises(TheoryError, match="bottleneck=0: pass a whole number"):
        bottleneck_start(gram, 0)


def test_the_limit_of_wide_bottlenecks():
    """Kernels of nets at their start near it as 1/sqrt(d), where n is large."""
    x = points(6, 10, 5)
    gap = {}
    for d in (4, 64):
        apart = []
        for seed in range(4):
            net = WideNet(10, d, 4096, phi="erf", seed=seed)
            q = 2 * x @ x.T / 10
            theta = net.first_kernel(x)
            angle = (q / torch.outer(q.diagonal(), q.diagonal()).sqrt()).clamp(-1, 1).acos().fill_diagonal_(0)
            K = theta - (math.pi - angle) / (2 * math.pi) * q
            limit = without_bottleneck(K, theta).ntk
            apart.append(np.linalg.norm(tangent_kernel(net, x).numpy() - limit) / np.linalg.norm(limit))
        gap[d] = np.mean(apart)
    assert 2 < gap[4] / gap[64] < 8
    assert gap[64] < 0.25


def test_kernels_of_other_shapes_are_refused():
    with pytest.raises(TheoryError, match=r"nngp has shape \(1, 1\) and ntk \(2, 2\)"):
        without_bottleneck(1.0, np.eye(2))
    with pytest.raises(
        TheoryError, match="phi='gelu': kernels in closed form are known for 'erf', 'relu', 'linear'"
    ):
        wide_head(2, phi="gelu")  # type: ignore[arg-type]
    with pytest.raises(TheoryError, match="width=0"):
        wide_head(2, width=0)


def test_slopes_of_what_was_learned_by_differences_in_parts(monkeypatch):
    head, h = wide_head(3, 2), points(4, 3)
    seen, opaque = (
        Moving(head, "one"),
        Moving(type(head)(lambda a, b: head.kernel(a.detach(), b), head.start), "two"),
    )
    for moving in (seen, opaque):
        moving.pull(points(5, 3, 1), points(5, 2, 2))
    slopes = points(4, 2, 3)
    expected = seen.pull_back(h, slopes)
    torch.testing.assert_close(opaque.pull_back(h, slopes), expected, rtol=1e-8, atol=1e-8)
    monkeypatch.setattr("similitude.theory.bottleneck.segment._PAIRS", 50)  # one direction at a time
    torch.testing.assert_close(opaque.pull_back(h, slopes), expected, rtol=1e-8, atol=1e-8)
