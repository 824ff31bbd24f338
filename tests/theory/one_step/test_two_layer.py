"""A two-layer network's features and step against torch, and what it refuses."""

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.one_step.network import TwoLayer
from tests.oracles.one_step_plain import trained


@pytest.mark.parametrize("phi", [torch.tanh, torch.relu, torch.nn.GELU()])
def test_a_step_is_that_of_torch(phi):
    """The user's own module, its learning rate eta sqrt(width), one step of torch.optim.SGD on its first weight."""
    first, last = torch.nn.Linear(6, 25).double(), torch.nn.Linear(25, 1, bias=False).double()
    x, y = torch.randn(40, 6, dtype=torch.float64), torch.randn(40, dtype=torch.float64)
    before = first.weight.detach().clone()
    net = TwoLayer.of(first, phi, last)
    moved = net.step(x, y, eta=0.3)
    assert np.array_equal(first.weight.detach(), before)

    optimizer = torch.optim.SGD([first.weight], lr=0.3 * 25**0.5)
    ((last(phi(first(x))).squeeze(1) - y) ** 2).mean().div(2).backward()
    optimizer.step()
    np.testing.assert_allclose(moved.weight, first.weight.detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(moved.features(x), phi(first(x)).detach(), rtol=1e-12, atol=1e-14)
    assert moved.readout is net.readout


def test_the_paper_s_network():
    """In the paper's units the readout is a / sqrt(N)."""
    net = TwoLayer.random(torch.tanh, width=20, dimension=5, seed=3)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 5)), rng.standard_normal(30)
    expected = trained(torch.tanh, X, y, net.weight, net.readout * 20**0.5, 4.0)
    np.testing.assert_allclose(net.step(X, y, eta=4.0).weight, expected, rtol=1e-12)
    wide = TwoLayer.random(torch.tanh, width=4000, dimension=50, seed=0)
    assert wide.weight.std() == pytest.approx(50**-0.5, rel=0.01)
    assert wide.readout.std() == pytest.approx(1 / 4000, rel=0.05)
    assert np.array_equal(wide.weight, TwoLayer.random(torch.tanh, width=4000, dimension=50, seed=0).weight)


def test_a_readout_is_drawn_where_none_is_given():
    made = [TwoLayer.of(np.ones((4, 2)), torch.tanh).readout for _ in range(2)]
    assert np.array_equal(*made)
    assert made[0].any()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: TwoLayer.of(np.ones(3), torch.tanh), "first has shape \\(3,\\)"),
        (lambda: TwoLayer.of(np.full((2, 2), np.nan), torch.tanh), "4 of 4 numbers are not finite"),
        (
            lambda: TwoLayer.of(torch.nn.Linear(2, 3), torch.tanh, torch.nn.Linear(3, 2)),
            "3 neurons: one output",
        ),
        (
            lambda: TwoLayer.of(torch.nn.Linear(2, 6), torch.tanh, torch.nn.Linear(3, 2)),
            "readout has shape \\(2, 3\\) and the first layer 6 neurons",
        ),
        (lambda: TwoLayer.of(torch.nn.Linear(2, 3, device="meta"), torch.tanh), "first.weight is no array"),
        (
            lambda: TwoLayer.random(torch.relu, width=3, dimension=2, seed=0).features(
                np.full((4, 2), 1e200)
            ),
            "whose squares are beyond float64",
        ),
        (lambda: TwoLayer.of(torch.nn.Linear(2, 3), "tanh"), "phi is a str"),
        (lambda: TwoLayer.random(torch.tanh, width=0, dimension=3, seed=0), "width=0"),
        (
            lambda: TwoLayer.random(torch.tanh, width=3, dimension=2, seed=0).features(np.ones(2)),
            "takes 2 inputs",
        ),
        (
            lambda: TwoLayer.random(torch.sign, width=3, dimension=2, seed=0).step(
                np.ones((4, 2)), np.ones((4, 3)), eta=1.0
            ),
            "one number per sample is needed",
        ),
        (
            lambda: TwoLayer.random(torch.ones_like, width=3, dimension=2, seed=0).step(
                np.ones((4, 2)), np.ones(4), eta=1.0
            ),
            "no gradient",
        ),
    ],
)
def test_bad_input(make, text):
    with pytest.raises(TheoryError, match=text):
        make()


def test_layers_of_any_precision():
    layer = torch.nn.Linear(3, 4).bfloat16()
    found = TwoLayer.of(layer, torch.relu, torch.nn.Linear(4, 1).half())
    np.testing.assert_array_equal(found.weight, layer.weight.detach().double().numpy())
