"""Perceptrons are read by what they compute; whatever else a module does is refused by name."""

import pytest
import torch
import torch.nn.functional as F
from limit_nets import family
from torch import nn

from similitude.core.errors import FactoryError, TheoryError
from similitude.theory.adaptive_limits.perceptron import read_perceptron


class Net(nn.Module):
    """A perceptron whose parts are registered in another order than they are run."""

    def __init__(self, width, forward=None, features=5, **extra):
        super().__init__()
        self.out = nn.Linear(width, 1, bias=False)
        self.bias = nn.Linear(width, width, bias=False)  # named to mislead
        self.norm = nn.Linear(features, width, bias=False)
        for name, part in extra.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, x):
        if self.run is not None:
            return self.run(self, x)
        x = 2**0.5 * F.relu(self.norm(x.flatten(1)))
        x = self.bias(x)
        return self.out(F.gelu(x) - 0.1 * x).squeeze(-1)


def test_layers_and_nonlinearities_are_found_by_the_pass():
    net = read_perceptron(Net)
    assert net.names == ("norm.weight", "bias.weight", "out.weight")
    assert net.features == 5
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    assert torch.allclose(net.activations[0].phi(z), 2**0.5 * F.relu(z))
    assert torch.allclose(net.activations[1].phi(z), F.gelu(z) - 0.1 * z)
    assert net.activations[0].slopes == (pytest.approx(2**0.5), 0.0)
    assert "relu" in str(net)


@pytest.mark.parametrize(
    "nonlinearity", [nn.Tanh, nn.GELU, lambda: nn.ReLU(inplace=True), nn.Identity, nn.SiLU]
)
def test_what_was_read_computes_the_module(nonlinearity):
    net = read_perceptron(family(3, nonlinearity=nonlinearity))
    model, units = net.build(24)
    x = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = {name: p.detach() for name, p in model.named_parameters()}
    stacked = {name: torch.stack([w, 2 * w]) for name, w in weights.items()}
    assert units == 24
    out = net.hidden(stacked, x)[-1] @ stacked[net.names[-1]].mT
    assert torch.allclose(out[0], model(x).detach(), atol=1e-12)
    assert out.shape == (2, 6, 1)


def test_units_may_be_a_multiple_of_the_width():
    assert read_perceptron(lambda w: family(2)(4 * w)).build(8)[1] == 32


def _skip(self, x):
    h = torch.tanh(self.norm(x))
    return self.out(h + torch.tanh(self.bias(h)))


def _gate(self, x):
    h = torch.tanh(self.norm(x))
    return self.out(h * self.gain)


REFUSED = {
    "a bias": (
        lambda w: nn.Sequential(nn.Linear(4, w), nn.Tanh(), nn.Linear(w, 1, bias=False)),
        "'0.bias'.*bias or a gain",
    ),
    "a skip connection": (lambda w: Net(w, _skip), "earlier activation"),
    "two uses": (
        lambda w: Net(w, lambda s, x: s.out(torch.tanh(s.bias(torch.tanh(s.bias(torch.tanh(s.norm(x)))))))),
        "'bias.weight' acts twice",
    ),
    "an unused matrix": (
        lambda w: Net(w, lambda s, x: s.out(torch.tanh(s.norm(x)))),
        "'bias.weight' acts on no",
    ),
    "dropout": (family(2, nonlinearity=lambda: nn.Dropout(0.3)), "no entrywise nonlinearity|also reads"),
    "softmax": (family(2, nonlinearity=lambda: nn.Softmax(-1)), "_softmax, which is no entrywise"),
    "a norm": (
        lambda w: nn.Sequential(
            nn.Linear(4, w, bias=False),
            nn.LayerNorm(w, elementwise_affine=False),
            nn.Linear(w, 1, bias=False),
        ),
        "native_layer_norm",
    ),
    "two outputs": (
        lambda w: nn.Sequential(nn.Linear(4, w, bias=False), nn.Tanh(), nn.Linear(w, 2, bias=False)),
        "'2.weight' has shape .2, 16., expected .1, 16.",
    ),
    "unequal widths": (
        lambda w: nn.Sequential(
            nn.Linear(4, w, bias=False),
            nn.Linear(w, 2 * w, bias=False),
            nn.Linear(2 * w, 1, bias=False),
        ),
        "equal hidden widths",
    ),
    "no hidden layer": (lambda w: nn.Linear(w, 1, bias=False), "one matrix must lead from fixed features"),
    "an outer function": (
        lambda w: Net(w, lambda s, x: torch.tanh(s.out(torch.tanh(s.bias(s.norm(x)))))),
        "behind the last layer stands tanh",
    ),
    "inputs changed": (
        lambda w: Net(w, lambda s, x: s.out(torch.tanh(s.bias(s.norm(x / 255))))),
        "before the first layer stands div",
    ),
    "a scaled weight": (
        lambda w: Net(w, lambda s, x: s.out(torch.tanh(s.bias(x @ (2 * s.norm.weight).T)))),
        "'norm.weight' is changed by mul",
    ),
    "a matrix by its rows": (
        lambda w: Net(w, lambda s, x: s.out(torch.tanh(torch.tanh(s.norm(x)) @ s.bias.weight))),
        "'bias.weight' is multiplied by its rows",
    ),
    "another function at other widths": (
        lambda w: family(2, nonlinearity=nn.Tanh if w == 16 else nn.ReLU)(w),
        "something else at width",
    ),
    "a power of the width": (
        lambda w: Net(w, lambda s, x: s.out(torch.tanh(s.bias(s.norm(x) / w**0.5)) / w**0.5)),
        "depends on the width: at -3 it gives -0.75 at width 16 and -0.5303 at 32",
    ),
    "inputs of another shape": (
        lambda w: nn.Sequential(
            nn.Unflatten(1, (2, 5)), nn.Flatten(), nn.Linear(8, w, bias=False), nn.Linear(w, 1, bias=False)
        ),
        "failed on 3 inputs of 8 features",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_with_the_reason(case):
    make, words = REFUSED[case]
    with pytest.raises(TheoryError, match=words):
        read_perceptron(make)


def test_factories_that_fail_are_told_from_modules():
    with pytest.raises(FactoryError, match="returned a int"):
        read_perceptron(lambda width: width)
    with pytest.raises(FactoryError, match="ZeroDivisionError"):
        read_perceptron(lambda width: width / 0)
    with pytest.raises(TheoryError, match="make is a Sequential"):
        read_perceptron(family(1)(8))


def test_no_generator_is_moved():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    read_perceptron(family(2))
    assert torch.equal(before, torch.get_rng_state())
