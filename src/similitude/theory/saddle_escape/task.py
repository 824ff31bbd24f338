"""The task at the origin: a homogeneous network, its inputs and the gradient of the loss where all outputs are zero."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import functional_call

from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.finite_width.given import whole
from similitude.theory.ridge.arrays import array

Loss = Literal["mse", "cross_entropy"] | Callable[[Tensor, Tensor], Tensor]
Weights = dict[str, Tensor]
_SCALED = 2.0  # a power of two scales floats without rounding
_HOMOGENEOUS = 1e-9


@dataclass(frozen=True, eq=False)
class Task:
    """A homogeneous network and its data. Made by `homogeneous_task` or `relu_task`.

    Attributes:
        network: The user's network, in float64 and without state of its own that a forward pass changes.
        inputs: Shape (samples, ...), float64.
        targets: As the loss takes them.
        loss: Of outputs and targets, a mean over samples.
        gradient: Of the loss with respect to the outputs at outputs zero, shape of the outputs.
    """

    network: nn.Module
    inputs: Tensor
    targets: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    gradient: Tensor

    def outputs(self, weights: Weights) -> Tensor:
        """Return the network's outputs at some weights."""
        return functional_call(self.network, weights, (self.inputs,))

    def leading_loss(self, weights: Weights) -> Tensor:
        """Return L_0 = <G, f>: the loss near the origin, less its value there."""
        return (self.gradient * self.outputs(weights)).sum()

    def random_weights(self, generator: torch.Generator) -> Weights:
        """Return Gaussian weights of unit Frobenius norm in every layer."""
        drawn = {
            name: torch.randn(p.shape, generator=generator, dtype=torch.float64)
            for name, p in self.network.named_parameters()
        }
        return {name: w / w.norm() for name, w in drawn.items()}


def relu_network(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Return a ReLU network without biases, its layers named by their numbers from 1.

    Example:
        >>> [name for name, _ in relu_network(3, [8, 8], 1).named_parameters()]
        ['W1.weight', 'W2.weight', 'W3.weight']
    """
    sizes, net = (inputs, *hidden, outputs), nn.Sequential()
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), 1):
        if layer > 1:
            net.add_module(f"relu{layer - 1}", nn.ReLU())
        # empty: every weight is given on use, and the global generator must not move
        net.add_module(
            f"W{layer}", nn.utils.skip_init(nn.Linear, fan_in, fan_out, bias=False, dtype=torch.float64)
        )
    return net


def origin_gradient(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of a loss with respect to the outputs where they are zero.

    Args:
        loss: Of outputs and targets, to a scalar.
        outputs: Any outputs of the network: only their shape counts.
        targets: As the loss takes them.

    Raises:
        TheoryError: The loss does not fit, or its gradient is zero, so that nothing leaves the origin along a direction.

    Example:
        >>> targets = torch.tensor([[1.0], [3.0]])
        >>> origin_gradient(F.mse_loss, torch.zeros(2, 1), targets).flatten().tolist()
        [-1.0, -3.0]
    """
    zero = torch.zeros_like(outputs, requires_grad=True)
    try:
        with torch.enable_grad():
            value = loss(zero, targets)
            (found,) = torch.autograd.grad(value, zero)
    except Exception as error:
        raise TheoryError(
            f"the loss cannot be taken of outputs of shape {tuple(outputs.shape)} and targets of shape "
            f"{tuple(targets.shape)} ({targets.dtype}): {error}. Pass targets that fit the loss, and a loss that "
            "returns one number."
        ) from error
    if not torch.isfinite(found).all():
        raise TheoryError(
            "the gradient of the loss at outputs zero is not finite. Look for nan or inf in the targets."
        )
    if float(found.abs().max()) <= 1e-12 * max(1.0, float(value.detach().abs())):
        raise TheoryError(
            "the gradient of the loss at outputs zero is zero: the network at the origin already fits these targets, "
            "and nothing escapes. Pass targets that differ from what outputs of zero say."
        )
    return found


def homogeneous_task(
    network: nn.Module, data: tuple[ArrayLike | Tensor, ArrayLike | Tensor], *, loss: Loss = "mse"
) -> Task:
    """Read a network and its data, and see that the theory holds of them.

    Args:
        network: Any module whose outputs are homogeneous of degree one in each of its parameters. It is copied.
        data: Inputs, shape (samples, ...), and targets, shape (samples,) or that of the outputs.
        loss: "mse" (half the squared distance, mean over samples), "cross_entropy", or a function of outputs and targets
            that gives a mean over samples.

    Raises:
        TheoryError: Data do not fit, the network is not homogeneous, or nothing escapes.
    """
    inputs, targets = _data(data, loss)
    own = copy.deepcopy(network).double()
    weights = {name: p.detach() for name, p in own.named_parameters()}
    if not weights:
        raise TheoryError(f"{type(network).__name__} has no parameters. Pass a network that has.")
    try:
        outputs = functional_call(own, weights, (inputs,)).detach()
    except Exception as error:
        raise TheoryError(
            f"{type(network).__name__} fails on inputs of shape {tuple(inputs.shape)}: {error}. Pass inputs as it takes "
            "them."
        ) from error
    function = _LOSSES[loss] if isinstance(loss, str) else loss
    made = Task(own, inputs, targets, function, origin_gradient(function, outputs, targets))
    _check_homogeneous(made)
    return made


def relu_task(
    depth: int,
    width: int | Sequence[int],
    data: tuple[ArrayLike | Tensor, ArrayLike | Tensor],
    *,
    loss: Loss = "mse",
) -> Task:
    """Return the task of a ReLU network without biases; see `homogeneous_task`.

    Args:
        depth: Weight matrices.
        width: Of all hidden layers, or of each.
        data: Inputs, shape (samples, features), and targets.
        loss: As of `homogeneous_task`.

    Raises:
        TheoryError: As of `homogeneous_task`; or depth, widths and inputs do not fit each other.
    """
    hidden = [width] * (whole("depth", depth) - 1) if isinstance(width, int) else list(width)
    if len(hidden) != depth - 1:
        raise TheoryError(
            f"{len(hidden)} widths and depth {depth}: a network of {depth} weight matrices has {depth - 1} hidden "
            "layers. Pass one width for all of them, or one for each."
        )
    inputs, targets = _data(data, loss)
    if inputs.ndim != 2:
        raise TheoryError(f"inputs have shape {tuple(inputs.shape)}: pass one row of features per sample.")
    outputs = targets.shape[1] if targets.is_floating_point() else max(int(targets.max()) + 1, 2)
    hidden = [whole("width", size) for size in hidden]
    return homogeneous_task(relu_network(inputs.shape[1], hidden, outputs), (inputs, targets), loss=loss)


def _half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().flatten(1).sum(1).mean() / 2


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": _half_square,
    "cross_entropy": F.cross_entropy,
}


def _data(data: tuple[ArrayLike | Tensor, ArrayLike | Tensor], loss: Loss) -> tuple[Tensor, Tensor]:
    """Return inputs in float64, and targets: classes for the cross entropy, else rows in float64."""
    if isinstance(loss, str) and loss not in _LOSSES:
        raise TheoryError(f"loss={loss!r}. Choose {' or '.join(map(repr, _LOSSES))}, or pass a function.")
    try:
        given, goals = data
    except (TypeError, ValueError) as error:
        raise TheoryError(f"data: {error}. Pass a pair: inputs and targets.") from error
    inputs = torch.from_numpy(array(given, "inputs"))
    labels = array(goals, "targets")
    if inputs.ndim < 2 or not inputs.numel() or labels.ndim < 1 or len(labels) != len(inputs):
        raise TheoryError(
            f"inputs have shape {tuple(inputs.shape)} and targets {labels.shape}: pass one row of features and one "
            "target per sample."
        )
    if loss == "cross_entropy" and labels.ndim == 1:
        if (labels != labels.round()).any() or labels.min() < 0:
            raise TheoryError("targets are no classes: pass whole numbers from 0, one per sample.")
        return inputs, torch.from_numpy(labels).long()
    return inputs, torch.from_numpy(labels if labels.ndim > 1 else labels[:, None])


def _check_homogeneous(made: Task) -> None:
    """Raise unless twice a parameter gives twice the outputs, for every one of them.

    Raises:
        TheoryError: It does not; the message names the parameter.
    """
    weights = made.random_weights(torch_generator(0, "homogeneous"))
    with torch.no_grad():
        outputs = made.outputs(weights)
        size = max(float(outputs.abs().max()), 1e-300)
        for name, weight in weights.items():
            again = made.outputs(weights)
            twice = made.outputs({**weights, name: _SCALED * weight})
            off = float((twice - _SCALED * again).abs().max()) / size
            if not off <= _HOMOGENEOUS:
                raise TheoryError(
                    f"outputs are not homogeneous of degree 1 in '{name}': twice the parameter changes them by "
                    f"something else than a factor of 2, off by {off:.2g} of their size. The theory of the saddle at "
                    "the origin is of networks without biases, norms, residual branches and smooth activations: "
                    "linear layers, convolutions, ReLU, absolute values, pooling. Build it without this parameter "
                    "(bias=False)."
                )
