"""Uniform first layers on few inputs: how far they are from Gaussian ones, against neurons of their own law."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import similitude as sim
from similitude.core.seeding import seeded
from similitude.kernels.duals import dual

D = torch.float64


def family(inputs: int, act: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    return lambda width: nn.Sequential(nn.Linear(inputs, width), act(), nn.Linear(width, 1))


def drawn(inputs: int) -> Tensor:
    return torch.randn(5, inputs, generator=torch.Generator().manual_seed(0), dtype=D)


@pytest.mark.parametrize(("inputs", "act"), [(1, nn.Tanh), (2, nn.ReLU), (6, nn.Tanh)])
def test_the_difference_is_that_of_drawn_neurons(inputs, act):
    x = drawn(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (law,) = (
            row.law
            for row in sim.kernel(family(inputs, act), sample=x, widths=(64, 96)).explain(x)
            if row.law
        )
    with seeded(1):
        layer = nn.Linear(inputs, 200_000).to(D)
    u = layer(x).detach().requires_grad_()
    values = act()(u)
    (slopes,) = torch.autograd.grad(values.sum(), u)
    q = (x.square().sum(1) / inputs + 1 / inputs) / 3
    k = (x @ x.T / inputs + 1 / inputs) / 3
    phi = dual(act())
    wanted = phi.both(k, q[:, None], q[None])
    gaps = [
        float((own.detach() @ own.detach().T / u.shape[1] - limit).abs().max() / limit.max())
        for own, limit in zip((values, slopes), wanted, strict=True)
    ]
    assert law == pytest.approx(max(gaps), abs=0.01)
    assert law > 0.015


def test_few_inputs_are_warned_of_and_explained():
    with pytest.warns(UserWarning, match=r"'0.weight' is uniform and reads 2 inputs"):
        kernel = sim.kernel(family(2, nn.ReLU), sample=drawn(2), widths=(32, 48))
    assert "uniform on few inputs, differ by" in str(kernel.explain())


@pytest.mark.parametrize("options", [{"weight_variance": 1.0}, {}])
def test_gaussian_weights_and_many_inputs_are_not(options):
    inputs = 2 if options else 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel = sim.kernel(family(inputs, nn.ReLU), sample=drawn(inputs), widths=(32, 48), **options)
    rows = list(kernel.explain(drawn(inputs)))
    assert all(row.law is None or (not options and row.law < 0.01) for row in rows)


def test_a_linear_network_has_no_difference():
    kernel = sim.kernel(family(20, nn.Identity), sample=drawn(20), widths=(32, 48))
    assert all(row.law is None for row in kernel.explain(drawn(20)))
