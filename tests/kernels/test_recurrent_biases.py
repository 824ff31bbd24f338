"""Biases of recurrent layers: both count and their variances add, against wide nets and in every step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import similitude as sim

INPUTS, BASE, WIDE, NETS = 5, 32, 384, 48
STEPS = 0.3 * torch.randn(3, 4, INPUTS, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


class Last(nn.Module):
    """A recurrent net whose last state is read out."""

    def __init__(self, width: int, inputs: int = INPUTS) -> None:
        super().__init__()
        self.net, self.head = nn.RNN(inputs, width, batch_first=True), nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net(x)[0][:, -1])


def states(seed: int) -> Tensor:
    """Return the last states (samples, WIDE) of one wide net by hand; what reads data is as wide as at BASE."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(width: int, *shape: int) -> Tensor:
        return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1) / math.sqrt(width)

    w, u = uniform(BASE, INPUTS, WIDE), uniform(WIDE, WIDE, WIDE)
    b = uniform(BASE, WIDE) + uniform(BASE, WIDE)
    h = torch.zeros(len(STEPS), WIDE, dtype=torch.float64)
    for t in range(STEPS.shape[1]):
        h = torch.tanh(STEPS[:, t] @ w + h @ u + b)
    return h


@pytest.mark.parametrize("alone", [False, True])
def test_both_biases_of_a_recurrent_net_count(alone):
    kernel = sim.kernel(Last(256)) if alone else sim.kernel(Last, widths=(BASE, 48))
    found = kernel.nngp(STEPS)
    scales = kernel.reader(STEPS).scales
    both = [scales.variance[f"net.bias_{which}_l0", "bias"] for which in ("ih", "hh")]
    assert both[0] == both[1] == pytest.approx(1 / (3 * (256 if alone else BASE)), rel=0.15)
    assert scales.variance["net.bias_hh_l0", "rows"] == both[1]  # of the first step, where the state is 0
    if not alone:
        nets = torch.stack([h @ h.T / (3 * WIDE) for h in map(states, range(NETS))])
        error = nets.std(0) / math.sqrt(NETS)
        assert float((error / nets.mean(0)).max()) < 0.03
        # Variances are measured from 40 draws at the base: to 4 %.
        assert float(((found - nets.mean(0)).abs() - 3 * error).max() / found.max()) < 0.04


def test_both_biases_count_of_a_single_net_with_as_many_inputs_as_states():
    x, net = STEPS.repeat(1, 1, 52)[..., :256], Last(256, 256)
    scales = sim.kernel(net).reader(x).scales
    for which in ("ih", "hh"):
        assert scales.variance[f"net.bias_{which}_l0", "bias"] == pytest.approx(1 / (3 * 256))
    assert "drawn as 'net.bias_ih_l0'" in scales.notes["net.bias_hh_l0", "bias"]
    assert scales.variance["net.bias_hh_l0", "rows"] == pytest.approx(1 / (3 * 256))
    given = sim.kernel(net, bias_variance=1 / (3 * 256))
    torch.testing.assert_close(sim.kernel(net).nngp(x), given.nngp(x), rtol=1e-12, atol=0)


def test_of_two_linear_layers_of_a_single_module_the_bias_of_the_growing_one_falls():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.branch, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.head(torch.tanh(x + self.branch(torch.tanh(x))))

    x = STEPS[:, 0].repeat(1, 13)[:, :64]
    variance = sim.kernel(Residual()).reader(x).scales.variance
    assert variance["branch.bias", "bias"] == 0
    assert variance["stem.bias", "bias"] == pytest.approx(1 / (3 * 64))


def test_a_bias_of_a_layer_that_grows_still_falls_beside_one_of_another_law():
    class Sum(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.skip, self.stem = nn.Linear(INPUTS, width), nn.Linear(INPUTS, width)
            self.deep, self.head = nn.Linear(width, width), nn.Linear(width, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.skip(x) + self.deep(torch.tanh(self.stem(x)))))

    x = STEPS[:, 0]
    variance = sim.kernel(Sum, sample=x, widths=(BASE, 48)).reader(x).scales.variance
    assert variance["deep.bias", "bias"] == 0
    assert variance["skip.bias", "bias"] == pytest.approx(1 / (3 * INPUTS))
