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


def started(start: Callable[[Any], object]) -> Callable[[int], nn.Module]:
    def make(width: int) -> nn.Module:
        made = net(lambda own, h: own.hidden(torch.tanh(h)))(width)
        start(made)
        return made

    return make


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda m: nn.init.eye_(m.hidden.weight), "its diagonal has the mean 1,"),
        (lambda m: nn.init.uniform_(m.hidden.weight), "its mean is"),
        (lambda m: nn.init.uniform_(m.hidden.bias, 0, 2), "'hidden.bias' .* its mean is"),
        (lambda m: m.hidden.weight.data[: len(m.hidden.bias) // 2].mul_(4), "its rows have different scales"),
        (
            lambda m: m.hidden.weight.data[:, : len(m.hidden.bias) // 2].mul_(4),
            "its columns have different scales",
        ),
    ],
)
def test_initial_values_that_are_no_draws_of_one_law_are_refused(start, message):
    refused(started(start), message)


def test_a_variance_that_is_given_needs_no_law():
    make = started(lambda m: nn.init.eye_(m.hidden.weight))
    assert sim.kernel(make, sample=X, widths=(32, 48), weight_variance=1.0).nngp(X).shape == (2, 2)


@pytest.mark.parametrize("start", [nn.init.orthogonal_, nn.init.trunc_normal_, nn.init.kaiming_uniform_])
def test_usual_initializations_are_draws(start):
    sim.kernel(started(lambda m: start(m.hidden.weight)), sample=X, widths=(32, 48))


def test_the_padding_row_does_not_count_in_the_variance_of_the_others():
    def make(padding: int | None) -> Callable[[int], nn.Module]:
        return lambda width: nn.Sequential(
            nn.Embedding(5, width, padding_idx=padding), nn.ReLU(), nn.Linear(width, 3, bias=False)
        )

    tokens = torch.tensor([[1], [2], [0]])
    kernels = [sim.kernel(make(padding), sample=tokens, widths=(32, 48)) for padding in (None, 0)]
    without, padded = (k.nngp(tokens) for k in kernels)
    torch.testing.assert_close(padded[:2, :2], without[:2, :2], rtol=0.02, atol=0)
    assert padded[2].abs().max() == 0


def test_dropout_of_one_half_is_dropout():
    def make(*between: nn.Module) -> Callable[[int], nn.Module]:
        return lambda w: nn.Sequential(
            nn.Linear(4, w, bias=False), *between, nn.Linear(w, 3, bias=False)
        ).train()

    half, none = (sim.kernel(make(*b), sample=X, widths=(32, 48)).nngp(X) for b in ([nn.Dropout()], []))
    torch.testing.assert_close(half, none * (1 + torch.eye(2).double()))


@pytest.mark.parametrize("noise", [torch.randn_like, torch.rand_like])
def test_random_numbers_of_the_forward_pass_are_refused(noise):
    refused(lambda w: Noisy(noise, w), "random numbers in the forward pass")


class Noisy(nn.Module):
    def __init__(self, noise: Callable[[Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.noise, self.body = noise, nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x + self.noise(x))


@pytest.mark.parametrize(
    "body", [lambda own, h: h / 0.0, lambda own, h: nn.functional.alpha_dropout(h, 0.3, True)]
)
def test_what_cannot_be_read_names_its_operation(body):
    refused(net(body), "cannot be read at infinite width")


def test_a_variance_is_a_number():
    with pytest.raises(sim.KernelError, match="is not a variance"):
        sim.kernel(net(lambda own, h: h), sample=X, widths=(32, 48), weight_variance="2")  # pyright: ignore[reportArgumentType]


def test_verification_takes_two_widths_and_wide_modules():
    kernel = sim.kernel(net(lambda own, h: h), sample=X, widths=(32, 48))
    wrong: list[dict[str, Any]] = [{"widths": (64,)}, {"widths": (64, 64)}, {"copies": 0}]
    for options in wrong:
        with pytest.raises(sim.KernelError, match=r"widths=|copies="):
            kernel.verify(X, seconds=1, **options)
    narrow = sim.kernel(net(lambda own, h: h)(4), sample=X).verify(seconds=1)
    assert narrow.outcome == "too_noisy"
    assert "says nothing about infinite width" in narrow.summary


@pytest.mark.parametrize(
    "other",
    [
        lambda w, h: h @ (2 * w).T,
        lambda w, h: h @ (-w).T,
        lambda w, h: (
            h[:, : len(w) // 4] @ w[:, : len(w) // 4].T + h[:, len(w) // 4 :] @ w[:, len(w) // 4 :].T
        ),
    ],
)
def test_one_matrix_in_two_scales_is_refused(other):
    body = net(lambda own, h: own.hidden(torch.relu(h)) + torch.tanh(other(own.hidden.weight, torch.relu(h))))
    refused(body, "used in two ways|of two laws")


def test_uniform_first_layers_are_said_to_be_taken_as_gaussian():
    kernel = sim.kernel(net(lambda own, h: own.hidden(h)), sample=X, widths=(32, 48))
    assert str(kernel.explain()).count("taken as Gaussian") == 1
