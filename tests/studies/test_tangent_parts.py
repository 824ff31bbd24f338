"""Tangent kernels by parameter: exact for few outputs, two independent estimates for many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from similitude.landscape.ntk import ntk_gram
from similitude.studies.tangent_parts import tangent_parts

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def net(outputs: int, seed: int) -> nn.Sequential:
    g = torch.Generator().manual_seed(seed)
    made = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, outputs))
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(generator=g)
    return made


def test_few_outputs_are_exact_and_rates_weigh_the_parts():
    found = tangent_parts([lambda: net(4, 0), lambda: net(4, 1)], X)
    exact = [ntk_gram(net(4, seed), X, of="trace").matrix.numpy() for seed in (0, 1)]
    assert found.total()[:, 0] == pytest.approx(np.stack(exact), rel=1e-5)
    assert found.total().shape == (2, 1, 3, 3)
    # Of the last bias alone the kernel is 1 between all examples.
    assert found.total({"2.bias": 0.5}) == pytest.approx(0.5)


def test_many_outputs_are_estimated_twice_and_their_product_is_an_unbiased_square():
    networks = [lambda seed=seed: net(40, seed) for seed in range(16)]
    found = tangent_parts(networks, X).total()
    exact = np.stack([ntk_gram(make(), X, of="trace").matrix.numpy() for make in networks])
    assert found.shape == (16, 2, 3, 3)
    noise = found / exact[:, None] - 1
    assert 0.01 < np.abs(noise).mean() < 0.5
    products = (found[:, 0] * found[:, 1] / exact**2)[:, range(3), range(3)]
    error = float(products.std()) / 16**0.5
    assert products.mean() == pytest.approx(1, abs=3.5 * error)
    assert (found.mean(1)[:, range(3), range(3)] ** 2 / exact[:, range(3), range(3)] ** 2).mean() > 1


def test_buffers_of_the_model_are_left_alone():
    made = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 20))
    tangent_parts([lambda: made], X)
    assert made[0].num_batches_tracked == 0
