"""Modules whose kernels are easily wrong without a word: refused with the reason, or equal to those of wide copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import similitude as sim
from tests.kernels.modules import Net

X = torch.tensor([[1.0, 0.5, -0.3, 0.8], [-0.2, 0.9, 0.4, -1.0]])


def net(body: Callable[[Any, Tensor], Tensor]) -> Callable[[int], nn.Module]:
    return lambda width: Net(
        lambda own, h: torch.relu(body(own, h)), inputs=4, stem=width, hidden=nn.Linear(width, width)
    )


def refused(make: Callable[[int], nn.Module], message: str, x: Tensor = X) -> None:
    with pytest.raises(sim.KernelError, match=message) as caught:
        sim.kernel(make, sample=x, widths=(32, 48))
    assert str(caught.value).startswith("operation ")


@pytest.mark.parametrize(
    "move",
    [
        lambda h: h.roll(1, -1),
        lambda h: h.flip(-1),
        lambda h: h[:, 7 * torch.arange(h.shape[1]) % h.shape[1]],
    ],
)
def test_neurons_in_another_order_are_others(move):
    refused(net(lambda own, h: h + move(h)), "puts neurons in another order")


def test_samples_in_another_order_are_refused():
    refused(net(lambda own, h: h + h.flip(0)), "puts samples in another order")


def test_neurons_beside_zeros_are_refused():
    refused(net(lambda own, h: h + nn.functional.pad(h, (1, 0))[:, :-1]), "no multiple")


@pytest.mark.parametrize(
    "body",
    [
        lambda own, h: own.hidden(h.detach()),
        lambda own, h: h + h.detach(),
        lambda own, h: own.hidden(torch.no_grad()(torch.relu)(h)),
        torch.no_grad()(lambda own, h: own.hidden(h)),
    ],
)
def test_a_gradient_that_is_cut_off_has_no_tangent_kernel(body):
    kernel = sim.kernel(net(body), sample=X, widths=(32, 48))
    assert kernel.nngp(X).shape == (2, 2)
    with pytest.raises(sim.KernelError, match="off"):
        kernel.ntk(X)


def test_frozen_parameters_are_not_trained():
    def make(width: int) -> nn.Module:
        made = net(lambda own, h: own.hidden(torch.relu(h)))(width)
        made.get_submodule("stem").requires_grad_(False)
        return made

    whole = sim.kernel(net(lambda own, h: own.hidden(torch.relu(h))), sample=X, widths=(32, 48))
    part = sim.kernel(make, sample=X, widths=(32, 48))
    shares = whole.by_layer(X)
    torch.testing.assert_close(part.nngp(X), whole.nngp(X))
    torch.testing.assert_close(part.ntk(X), whole.ntk(X) - shares["stem.weight"] - shares["stem.bias"])
    assert "not trained" in str(part.explain())
