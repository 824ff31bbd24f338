"""The task at the origin: a homogeneous network, its inputs and the gradient of the loss where all outputs are zero."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from similitude.core.errors import TheoryError
from similitude.core.seeding import seeded, torch_generator
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
        network: A copy of the user's network, in float64.
        names: Of the parameters that are trained, in the order in which the forward pass comes to them.
        inputs: Shape (samples, ...), float64.
        targets: As the loss takes them.
        loss: Of outputs and targets, a mean over samples.
        gradient: Of the loss with respect to the outputs at outputs zero, shape of the outputs.
    """

    network: nn.Module
    names: tuple[str, ...]
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

    def drawn(self, generator: torch.Generator) -> Weights:
        """Return standard Gaussian weights."""
        shapes = {name: p.shape for name, p in self.network.named_parameters()}
        return {
            name: torch.randn(shapes[name], generator=generator, dtype=torch.float64) for name in self.names
        }

    def random_weights(self, generator: torch.Generator) -> Weights:
        """Return Gaussian weights of unit Frobenius norm in every layer."""
        return {name: w / w.norm() for name, w in self.drawn(generator).items()}

    def read(self, weights: Mapping[str, Tensor] | nn.Module) -> Weights:
        """Return weights of this network in float64 and in the order of its layers.

        Args:
            weights: By name; or the network itself, trained.

        Raises:
            TheoryError: A parameter is missing, not of its shape, or not finite.
        """
        given = dict(weights.named_parameters()) if isinstance(weights, nn.Module) else weights
        found = {}
        for name, own in self.network.named_parameters():
            if name not in self.names:
                continue
            if name not in given:
                raise TheoryError(
                    f"weights lack '{name}': there are {', '.join(map(repr, given)) or 'none'}. Pass all of "
                    f"{', '.join(map(repr, self.names))}, or the network itself."
                )
            found[name] = given[name].detach().cpu().double()
            if found[name].shape != own.shape:
                raise TheoryError(
                    f"'{name}' has shape {tuple(found[name].shape)}, and in the task's network {tuple(own.shape)}. Pass "
                    "weights of the same network."
                )
            if not torch.isfinite(found[name]).all():
                raise TheoryError(f"'{name}' has entries that are not finite. Look where training diverged.")
        return {name: found[name] for name in self.names}


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
        network: Any module whose outputs are homogeneous of degree one in each parameter that is trained. It is copied.
        data: Inputs, shape (samples, ...), and targets, shape (samples,) or that of the outputs.
        loss: "mse" (half the squared distance, mean over samples), "cross_entropy", or a function of outputs and targets
            that gives a mean over samples.

    Raises:
        TheoryError: Data do not fit, the network is not homogeneous, or nothing escapes.
    """
    inputs, targets = _data(data, loss)
    own = copy.deepcopy(network).double().cpu()
    weights = {name: p.detach() for name, p in own.named_parameters() if p.requires_grad}
    if not weights:
        raise TheoryError(
            f"{type(network).__name__} has no parameters that are trained. Pass a network that has."
        )
    uses = _FirstUses(weights)
    try:
        with torch.no_grad(), seeded(0), uses:
            outputs = functional_call(own, weights, (inputs,))
    except Exception as error:
        raise TheoryError(
            f"{type(network).__name__} fails on inputs of shape {tuple(inputs.shape)}: {error}. Pass inputs as it takes "
            "them."
        ) from error
    if not isinstance(outputs, Tensor):
        raise TheoryError(
            f"{type(network).__name__} gives {type(outputs).__name__}: pass a network that gives a tensor."
        )
    if unused := [name for name in weights if name not in uses.names]:
        raise TheoryError(
            f"'{unused[0]}' has no part in the outputs of {type(network).__name__}. Take it out, or freeze it by "
            "requires_grad_(False)."
        )
    function = _LOSSES[loss] if isinstance(loss, str) else loss
    targets = _fitted(targets, outputs, loss)
    gradient = origin_gradient(function, outputs, targets)
    made = Task(own, tuple(uses.names), inputs, targets, function, gradient)
    _check_homogeneous(made)
    return made


class _FirstUses(TorchDispatchMode):
    """Notes in which order a forward pass first computes with each of some tensors.

    Args:
        tensors: By name.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._by_id = {id(tensor): name for name, tensor in tensors.items()}
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation as it is."""
        del types
        for leaf in tree_leaves((args, kwargs)):
            name = self._by_id.get(id(leaf))
            if name is not None and name not in self.names:
                self.names.append(name)
        return func(*args, **(kwargs or {}))


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
    whole("depth", depth)
    hidden = list(width) if isinstance(width, Sequence) else [width] * (depth - 1)
    if len(hidden) != depth - 1:
        raise TheoryError(
            f"{len(hidden)} widths and depth {depth}: a network of {depth} weight matrices has {depth - 1} hidden "
            "layers. Pass one width for all of them, or one for each."
        )
    inputs, targets = _data(data, loss)
    if inputs.ndim != 2:
        raise TheoryError(f"inputs have shape {tuple(inputs.shape)}: pass one row of features per sample.")
    classes = targets.ndim == 1 and not targets.is_floating_point()
    outputs = max(int(targets.max()) + 1, 2) if classes else targets.shape[1] if targets.ndim > 1 else 1
    hidden = [whole("width", size) for size in hidden]
    return homogeneous_task(relu_network(inputs.shape[1], hidden, outputs), (inputs, targets), loss=loss)


def _half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum() / (2 * len(outputs))


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": _half_square,
    "cross_entropy": F.cross_entropy,
}


def _data(data: tuple[ArrayLike | Tensor, ArrayLike | Tensor], loss: Loss) -> tuple[Tensor, Tensor]:
    """Return inputs in float64, and targets: whole numbers where they are classes, else in float64."""
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
    made = torch.from_numpy(labels)
    if loss == "cross_entropy" and labels.ndim == 1:
        if (labels != labels.round()).any() or labels.min() < 0:
            raise TheoryError("targets are no classes: pass whole numbers from 0, one per sample.")
        return inputs, made.long()
    if loss == "cross_entropy" and labels.shape[1] == 1:
        raise TheoryError(
            f"targets have shape {labels.shape}, one probability per sample, which is always 1. Pass classes, shape "
            f"({len(labels)},), or a probability of each."
        )
    # a loss of the user's own may take classes
    counted = callable(loss) and np.asarray(goals).dtype.kind in "iu"
    return inputs, made.long() if counted else made


def _fitted(targets: Tensor, outputs: Tensor, loss: str | Loss) -> Tensor:
    """Return targets in the shape of the outputs where they only lack or have sides of 1, which would broadcast.

    Raises:
        TheoryError: The squared distance of outputs and targets is not defined.
    """
    if targets.is_floating_point() and targets.squeeze().shape == outputs.squeeze().shape:
        return targets.reshape(outputs.shape)
    if loss == "mse":
        raise TheoryError(
            f"outputs have shape {tuple(outputs.shape)} and targets {tuple(targets.shape)}. Pass one target per output."
        )
    return targets


def _check_homogeneous(made: Task) -> None:
    """Raise unless twice a parameter gives twice the outputs, for every one of them.

    Raises:
        TheoryError: It does not; the message names the parameter.
    """
    weights = made.random_weights(torch_generator(0, "homogeneous"))
    with torch.no_grad(), seeded(0):
        outputs = made.outputs(weights)
        if not torch.equal(outputs, made.outputs(weights)):
            raise TheoryError(
                f"{type(made.network).__name__} gives other outputs at every call, by dropout or noise. Pass it after "
                "network.eval()."
            )
        size = max(float(outputs.abs().max()), 1e-300)
        for name, weight in weights.items():
            twice = made.outputs({**weights, name: _SCALED * weight})
            off = float((twice - _SCALED * outputs).abs().max()) / size
            if not off <= _HOMOGENEOUS:
                raise TheoryError(
                    f"outputs are not homogeneous of degree 1 in '{name}': twice the parameter changes them by "
                    f"something else than a factor of 2, off by {off:.2g} of their size. The theory of the saddle at "
                    "the origin is of networks without biases, norms, residual branches and smooth activations: "
                    "linear layers, convolutions, ReLU, absolute values, pooling. Build it without this parameter "
                    "(bias=False), or freeze it by requires_grad_(False) where it is zero."
                )
