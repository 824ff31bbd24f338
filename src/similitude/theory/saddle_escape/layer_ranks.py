"""How close to rank one the layers and activations of a network are (paper 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
        activation: Singular values of the positive part of what the layer's module gives, as (rows, channels) with the
            samples and positions as rows, falling; of the last layer, of the outputs themselves. None where a parameter's
            module is not called by itself.
        truncation: |Z+ - Z|^2 / |Z|^2 of that: how much the ReLU takes away. None likewise.
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
def layer_ranks(task: Task, weights: Weights) -> tuple[LayerRank, ...]:
    """Return the singular values of every layer.

    Args:
        task: The network and its inputs.
        weights: Its parameters by name.
    """
    given = _given_by(task, weights)
    names = list(weights)
    found = []
    for depth, name in enumerate(names, 1):
        z = given.get(name)
        after = None if z is None else z if depth == len(names) else z.clamp(min=0)
        size = 0.0 if z is None else float(z.square().sum())
        lost = 0.0 if z is None or after is None else float((after - z).square().sum())
        found.append(
            LayerRank(
                name=name,
                depth=depth,
                weight=_singular(weights[name].flatten(1) if weights[name].ndim > 1 else weights[name][None]),
                activation=None if after is None else _singular(after),
                truncation=None if after is None else lost / size if size > 0 else 0.0,
            )
        )
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


def _given_by(task: Task, weights: Weights) -> dict[str, Tensor]:
    """Return what the module of every parameter gives, as (rows, channels)."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, positions: bool) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            del module, args
            moved = output.movedim(1, -1) if positions else output
            seen[name] = moved.detach().reshape(-1, moved.shape[-1])

        return hook

    hooks = []
    for name, weight in weights.items():
        owner = task.network.get_submodule(name.rpartition(".")[0])
        # convolutions have the channels second, linear layers last
        hooks.append(owner.register_forward_hook(keep(name, weight.ndim > 2)))
    try:
        with torch.no_grad():
            functional_call(task.network, weights, (task.inputs,))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _singular(matrix: Tensor) -> Array:
    return np.linalg.svd(matrix.numpy(), compute_uv=False)


def _tail(values: Array) -> float:
    energy = float((values**2).sum())
    return float((values[1:] ** 2).sum()) / energy if energy > 0 else 0.0
