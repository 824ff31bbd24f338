"""How close to rank one the layers and activations of a network are (paper 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from similitude.core.citation import cites
from similitude.theory.saddle_escape.task import Task, Weights

Array = np.ndarray
RANK_TOLERANCE = 0.1  # of the largest singular value; smaller ones count as noise


@dataclass(frozen=True, eq=False)
class LayerRank:
    """Singular values of one layer's weights and of what it gives.

    Attributes:
        name: The parameter's.
        depth: Its place among the layers, from 1.
        weight: Singular values of the weights, read as (outputs, the rest), falling.
        activation: Singular values of what the next layer is given, as (rows, channels) with the samples and positions as
            rows, falling; where pooling or flattening has come between, of what this layer gives, its positive part if
            the next layer is given no negative number; of the last layer, of the outputs. None where the parameter of
            this layer or of the next is not the only one of a module without others, such as a linear layer.
        truncation: |A - Z|^2 / |Z|^2 of these activations A and what the layer gives, Z: how much the ReLU takes away.
            None likewise.
    """

    name: str
    depth: int
    weight: Array
    activation: Array | None
    truncation: float | None

    @property
    def ratio(self) -> float:
        """First singular value of the weights over the second; infinite for rank one."""
        rest = self.weight[1] if len(self.weight) > 1 else 0.0
        return float(self.weight[0] / rest) if rest > 0 else float("inf")

    @property
    def weight_tail(self) -> float:
        """Share of the weights' energy beyond the first singular value."""
        return _tail(self.weight)

    @property
    def activation_tail(self) -> float | None:
        """Share of the activations' energy beyond the first singular value."""
        return None if self.activation is None else _tail(self.activation)

    @property
    def least_ratio(self) -> float:
        """The fourth root of the depth: what the ratio exceeds at the fastest escape, up to a constant."""
        return self.depth**0.25


@cites(5, "Theorem 3.1: singular values by layer")
def layer_ranks(task: Task, weights: Mapping[str, Tensor] | nn.Module) -> tuple[LayerRank, ...]:
    """Return the singular values of every layer.

    Args:
        task: The network and its inputs.
        weights: Its parameters by name; or the network itself, trained.

    Raises:
        TheoryError: Weights are not of this network.
    """
    own = task.read(weights)
    seen = _seen(task, own)
    names = list(own)
    found = []
    for depth, name in enumerate(names, 1):
        after = seen.get(names[depth]) if depth < len(names) else None
        known = name in seen and (after is not None or depth == len(names))
        activation, truncation = _activation(seen[name], after) if known else (None, None)
        matrix = own[name].flatten(1) if own[name].ndim > 1 else own[name][None]
        found.append(LayerRank(name, depth, _singular(matrix), activation, truncation))
    return tuple(found)


@cites(5, "Section 4: bottleneck rank")
def bottleneck_rank(layers: Sequence[LayerRank], *, tolerance: float = RANK_TOLERANCE) -> int:
    """Return the smallest number of directions that the activations of any hidden layer use.

    Args:
        layers: Of a network: `layer_ranks`.
        tolerance: Singular values below this share of the largest do not count.

    Returns:
        The rank; that of the weights where no activations are known.
    """
    values = [layer.activation for layer in layers[:-1] if layer.activation is not None]
    values = values or [layer.weight for layer in layers]
    return min(int((v > tolerance * v[0]).sum()) for v in values)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the module of a parameter was given and gave, channels last."""

    given: Tensor
    gave: Tensor


def _seen(task: Task, weights: Weights) -> dict[str, _Seen]:
    """Run the network, and keep what passes through the modules that hold one parameter and no other module."""
    seen: dict[str, _Seen] = {}

    def keep(name: str, positions: bool) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            del module
            if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
                # copies: a ReLU may work in place
                given, gave = args[0].detach().clone(), output.detach().clone()
                # convolutions have the channels second, linear layers last
                seen[name] = (
                    _Seen(given.movedim(1, -1), gave.movedim(1, -1)) if positions else _Seen(given, gave)
                )

        return hook

    hooks = []
    for name, weight in weights.items():
        owner = task.network.get_submodule(name.rpartition(".")[0])
        if not any(owner.children()) and len(list(owner.parameters())) == 1:
            hooks.append(owner.register_forward_hook(keep(name, weight.ndim > 2)))
    try:
        with torch.no_grad():
            functional_call(task.network, weights, (task.inputs,))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _activation(layer: _Seen, following: _Seen | None) -> tuple[Array, float]:
    """Return singular values of a layer's activations, and the share of their energy that the ReLU takes."""
    z = layer.gave
    if following is None:
        after = z
    elif following.given.shape == z.shape:
        after = following.given
    else:
        after = z.clamp(min=0) if bool((following.given >= 0).all()) else z
    size = float(z.square().sum())
    lost = float((after - z).square().sum()) / size if size > 0 else 0.0
    return _singular(after.reshape(-1, after.shape[-1])), lost


def _singular(matrix: Tensor) -> Array:
    return np.linalg.svd(matrix.numpy(), compute_uv=False)


def _tail(values: Array) -> float:
    energy = float((values**2).sum())
    return float((values[1:] ** 2).sum()) / energy if energy > 0 else 0.0
