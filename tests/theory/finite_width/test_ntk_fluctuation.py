"""The closed form of tangent kernels' fluctuations against tangent kernels of random networks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.ntk_fluctuation import (
    ntk_relative_second_moment,
    ntk_relative_second_moment_limit,
    ntk_relative_variance,
)


def tangent_kernels(widths: list[int], *, networks: int, seed: int, features: int = 10) -> np.ndarray:
    """Tangent kernel at one input of ReLU networks in the NTK parametrization, by autograd."""
    g = torch.Generator().manual_seed(seed)
    sizes = [features, *widths, 1]
    x = torch.randn(networks, features, 1, generator=g, dtype=torch.float64)
    x = x * (features**0.5 / x.norm(dim=1, keepdim=True))
    weights = [
        torch.randn(networks, out, into, generator=g, dtype=torch.float64, requires_grad=True)
        for into, out in itertools.pairwise(sizes)
    ]
    h = x
    for i, weight in enumerate(weights):
        h = math.sqrt(2 / weight.shape[2]) * (weight @ (h.relu() if i else h))
    gradients = torch.autograd.grad(h.sum(), weights)
    # The first layer sees no ReLU before it: its variance 2 / features counts like the others.
    return torch.stack([gradient.square().sum((1, 2)) for gradient in gradients]).sum(0).numpy()


@pytest.mark.parametrize(
    ("widths", "networks"),
    [([32] * 2, 5000), ([32] * 4, 5000), ([16, 64, 24], 3000), ([80, 12], 3000), ([40] * 6, 3000)],
)
def test_second_moment_is_that_of_random_networks(widths, networks):
    parts = [tangent_kernels(widths, networks=500, seed=s) for s in range(networks // 500)]
    theta = np.concatenate(parts)
    measured = (theta**2).mean() / theta.mean() ** 2
    rng = np.random.default_rng(0)
    again = [rng.choice(theta, len(theta)) for _ in range(60)]
    error = np.std([(t**2).mean() / t.mean() ** 2 for t in again])
    assert theta.mean() == pytest.approx(2 * (len(widths) + 1), rel=0.05)
    assert abs(measured - ntk_relative_second_moment(widths)) <= 3.5 * error


def test_the_sum_over_layers_is_the_double_loop():
    widths = [5, 9, 33]
    total = 0.0
    for i in range(4):
        for j in range(4):
            low, high = min(i, j), max(i, j)
            factors = [1 + (1 if low < layer <= high else 5) / widths[layer - 1] for layer in (1, 2, 3)]
            total += math.prod(factors) / 16
    assert ntk_relative_second_moment(widths) == pytest.approx(total)
    assert ntk_relative_variance(widths) == pytest.approx(total - 1)


@pytest.mark.parametrize("b", [1e-6, 1e-3, 0.0024, 0.0026, 0.1, 0.5, 2.0])
def test_the_limit_is_that_of_many_layers(b):
    L = 2000
    log = [math.log(f) for f in (ntk_relative_second_moment_limit(b), _at(L / b, L))]
    assert log[0] == pytest.approx(log[1], rel=5e-3)


def _at(n: float, L: int) -> float:
    """The sum over layers for a width that is not whole."""
    apart = np.abs(np.subtract.outer(np.arange(L + 1), np.arange(L + 1)))
    return float(((1 + 5 / n) ** (L - apart) * (1 + 1 / n) ** apart).mean())


def test_numbers_that_are_too_large_are_infinite():
    assert ntk_relative_second_moment([1] * 600) == math.inf
    assert ntk_relative_second_moment_limit(200.0) == math.inf


def test_wrong_use_is_explained():
    with pytest.raises(TheoryError, match="depth_over_width=-1: pass a finite number of at least 0"):
        ntk_relative_second_moment_limit(-1.0)
    with pytest.raises(TheoryError, match=r"widths\[0\]=True"):
        ntk_relative_second_moment([True])


@pytest.mark.filterwarnings("error")
def test_random_cases_grow_with_every_layer_and_shrink_with_width():
    rng = np.random.default_rng(9)
    for _ in range(3000):
        widths = [int(n) for n in np.exp(rng.uniform(0, 9, rng.integers(1, 30)))]
        one = ntk_relative_second_moment(widths)
        assert 1 < one <= math.prod(1 + 5 / n for n in widths) * (1 + 1e-12)
        assert ntk_relative_second_moment([2 * n for n in widths]) < one
