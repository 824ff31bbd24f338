"""Read a family of modules as a perceptron: linear layers without biases and nonlinearities between them, by what is
computed and not by what it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from similitude.core.errors import FactoryError, TheoryError
from similitude.core.seeding import seeded, torch_generator
from similitude.theory.adaptive_limits.chain import ONLY, Chain, read_chain
from similitude.theory.finite_width.activation import Activation, read_activation

Make = Callable[[int], nn.Module]
_WIDTHS = (16, 32)


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A perceptron of any width. Made by `read_perceptron`.

    Attributes:
        make: The user's factory.
        features: Features d of an input.
        names: The weights from the first layer to the last.
        activations: phi of every hidden layer, constants of the forward pass included.
        operations: What they are computed by.
    """

    make: Make
    features: int
    names: tuple[str, ...]
    activations: tuple[Activation, ...] = field(repr=False)
    operations: tuple[tuple[str, ...], ...]

    @property
    def hidden_layers(self) -> int:
        """Number L of hidden layers."""
        return len(self.activations)

    def build(self, width: int) -> tuple[nn.Module, int]:
        """Return the module of a width in float64, and how many units its hidden layers have.

        Raises:
            FactoryError: The factory fails.
        """
        model = _built(self.make, width)
        return model, dict(model.named_parameters())[self.names[0]].shape[0]

    def hidden(self, weights: Mapping[str, Tensor], inputs: Tensor) -> list[Tensor]:
        """Return what every hidden layer gives after its nonlinearity, shape (..., inputs, units) each.

        Args:
            weights: By name, shape (..., units, fan-in).
            inputs: Shape (inputs, features).
        """
        x, found = inputs, []
        for name, activation in zip(self.names[:-1], self.activations, strict=True):
            x = activation.phi(x @ weights[name].transpose(-1, -2))
            found.append(x)
        return found

    def __str__(self) -> str:
        inner = ", ".join("+".join(ops) or "identity" for ops in self.operations)
        return f"{self.features} features, {self.hidden_layers} hidden layers ({inner}), one output"


def read_perceptron(make: Make) -> Perceptron:
    """Read a family of perceptrons.

    Args:
        make: Returns the module of a width.

    Raises:
        TheoryError: It is no perceptron; the text names the tensor or the operation.
        FactoryError: The factory fails or returns no module.

    Example:
        >>> def make(width):
        ...     first, last = nn.Linear(4, width, bias=False), nn.Linear(width, 1, bias=False)
        ...     return nn.Sequential(first, nn.Tanh(), last)
        >>> print(read_perceptron(make))
        4 features, 1 hidden layers (tanh), one output

    Cost: two small modules and a forward pass of each.
    """
    small, large = (_built(make, width) for width in _WIDTHS)
    features = _features(small, large)
    chains = [read_chain(model, features) for model in (small, large)]
    if chains[0].text != chains[1].text:
        raise TheoryError(
            f"the module computes something else at width {_WIDTHS[0]} ({chains[0].text}) than at {_WIDTHS[1]} "
            f"({chains[1].text}). {ONLY}."
        )
    for model in (small, large):
        _check_sizes(model, chains[0].names, features)
    between = range(len(chains[1].names) - 1)
    narrow, activations = (tuple(_activation(chain, i) for i in between) for chain in chains)
    _check_same(chains[1], narrow, activations)
    operations = tuple(segment.operations for segment in chains[1].segments[1:-1])
    found = Perceptron(make, features, chains[1].names, activations, operations)
    _check_outputs(found, large)
    return found


def _built(make: Make, width: int) -> nn.Module:
    if not callable(make) or isinstance(make, nn.Module):
        raise TheoryError(
            f"make is a {type(make).__name__}: pass the function of the width that builds the module, since the limit is "
            "of a family."
        )
    try:
        with seeded(0):
            model = make(width)
    except Exception as error:
        raise FactoryError(f"make({width}) failed with {type(error).__name__}: {error}.") from error
    if not isinstance(model, nn.Module):
        raise FactoryError(f"make({width}) returned a {type(model).__name__}. Return a torch.nn.Module.")
    return model.double()


def _features(small: nn.Module, large: nn.Module) -> int:
    """Find the one matrix from a fixed side to one that grows, and with it how many features inputs have."""
    shapes = [{name: tuple(p.shape) for name, p in model.named_parameters()} for model in (small, large)]
    if shapes[0].keys() != shapes[1].keys():
        raise TheoryError(f"the module has other parameters at width {_WIDTHS[1]}. {ONLY}.")
    for name, shape in shapes[1].items():
        if len(shape) != 2:
            raise TheoryError(f"'{name}' has shape {shape}: it is no matrix, e.g. a bias or a gain. {ONLY}.")
    entering = {
        name: shape
        for name, shape in shapes[1].items()
        if shape[1] == shapes[0][name][1] and shape[0] > shapes[0][name][0]
    }
    if len(entering) != 1:
        listed = ", ".join(f"'{name}' {shape}" for name, shape in entering.items()) or "none"
        raise TheoryError(
            f"one matrix must lead from fixed features to the width; between widths {_WIDTHS[0]} and {_WIDTHS[1]} it is "
            f"{listed}. {ONLY}."
        )
    return next(iter(entering.values()))[1]


def _activation(chain: Chain, i: int) -> Activation:
    segment = chain.segments[i + 1]
    try:
        return read_activation(segment)
    except TheoryError as error:
        what = ", ".join(segment.operations)
        raise TheoryError(
            f"between '{chain.names[i]}' and '{chain.names[i + 1]}' stands {what}, which is no entrywise nonlinearity: "
            f"{error}"
        ) from error


def _check_same(chain: Chain, narrow: Sequence[Activation], wide: Sequence[Activation]) -> None:
    """Refuse nonlinearities with numbers that depend on the width, which the operations alone do not show."""
    z = torch.linspace(-3, 3, 25, dtype=torch.float64)
    for i, pair in enumerate(zip(narrow, wide, strict=True)):
        values = [activation.phi(z) for activation in pair]
        if not torch.allclose(*values, rtol=1e-9, atol=1e-12):
            at = int((values[0] - values[1]).abs().argmax())
            raise TheoryError(
                f"between '{chain.names[i]}' and '{chain.names[i + 1]}' the nonlinearity depends on the width: at "
                f"{float(z[at]):g} it gives {float(values[0][at]):.4g} at width {_WIDTHS[0]} and "
                f"{float(values[1][at]):.4g} at {_WIDTHS[1]}. Take the powers of the width out of the module: the "
                "parametrization has them."
            )


def _check_sizes(model: nn.Module, names: Sequence[str], features: int) -> None:
    if len(names) < 2:
        raise TheoryError(f"the module has {len(names)} linear layers, and so no hidden units. {ONLY}.")
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    units = shapes[names[0]][0]
    expected = [(units, features), *[(units, units)] * (len(names) - 2), (1, units)]
    for name, shape in zip(names, expected, strict=True):
        if shapes[name] != shape:
            raise TheoryError(
                f"'{name}' has shape {shapes[name]}, expected {shape}: equal hidden widths. {ONLY}."
            )


def _check_outputs(net: Perceptron, model: nn.Module) -> None:
    """Compute the module's outputs from what was read of it."""
    probes = torch.randn(5, net.features, generator=torch_generator(1, "perceptron"), dtype=torch.float64)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    with torch.no_grad(), seeded(0):
        given = functional_call(model, weights, (probes,)).flatten()
    ours = (net.hidden(weights, probes)[-1] @ weights[net.names[-1]].T).flatten()
    if given.shape != ours.shape or not torch.allclose(given, ours, rtol=1e-9, atol=1e-12):
        raise TheoryError(
            f"what was read of the module ({net}) does not give its outputs, so it does something that was not "
            f"seen. {ONLY}."
        )
