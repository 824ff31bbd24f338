"""Gradient flow from a small initialization, through the plateaus: what rank the layers have when it leaves (paper 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.func import grad_and_value

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.finite_width.given import number, whole
from similitude.theory.saddle_escape.direction import speed_of
from similitude.theory.saddle_escape.layer_ranks import LayerRank, bottleneck_rank, layer_ranks
from similitude.theory.saddle_escape.task import Task, Weights

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Passage:
    """The network when the loss first fell to a level.

    Attributes:
        level: The level asked for, a share of the loss at outputs zero.
        loss: The loss there, as a share of it.
        time: Of gradient flow.
        speed: -L_0 of the weights with every layer scaled to norm 1.
        layers: Singular values of every layer.
        weights: By name.
    """

    level: float
    loss: float
    time: float
    speed: float
    layers: tuple[LayerRank, ...]
    weights: Weights

    @property
    def rank(self) -> int:
        """Bottleneck rank."""
        return bottleneck_rank(self.layers)


@dataclass(frozen=True, eq=False)
class SmallStart:
    """A run of gradient flow from a small initialization. Made by `from_small_start`.

    Attributes:
        times: Of gradient flow at every step, shape (steps,).
        losses: As shares of the loss at outputs zero, shape (steps,).
        norms: Of all weights together, shape (steps,).
        start: The network at its initialization.
        passages: The network at every level that was reached, in their order; levels that were not are missing.
    """

    times: Array
    losses: Array
    norms: Array
    start: Passage
    passages: tuple[Passage, ...]


@cites(5, "Section 5: gradient descent from small initializations")
def from_small_start(
    task: Task,
    *,
    levels: Sequence[float] = (0.99, 0.9, 0.5),
    scale: float = 0.02,
    step: float = 0.02,
    steps: int = 5000,
    seed: int = 0,
) -> SmallStart:
    """Follow gradient flow of the loss from weights near the origin.

    Steps are a fixed share of the weights' norm along the gradient: the path of gradient flow in a time of its own, so
    that the plateau takes a hundred steps instead of a million.

    Args:
        task: The network and its data: `relu_task` or `homogeneous_task`.
        levels: Shares of the loss at outputs zero, falling, where the layers are looked at.
        scale: Weights start as Gaussians of this times 1 / sqrt(fan-in).
        step: Length of a step over the norm of all weights.
        steps: At most.
        seed: Of the initialization.

    Raises:
        TheoryError: A number is out of range, the loss is zero at the origin, or the run ends before the first level.

    Source: paper 5 (arXiv 2505.21722), Section 5.
    """
    wanted = [number("levels", level, above=True) for level in levels]
    if not wanted or wanted != sorted(wanted, reverse=True) or wanted[0] >= 1:
        raise TheoryError(
            f"levels={list(levels)}: pass shares of the first loss that fall, e.g. (0.99, 0.9, 0.5)."
        )
    number("scale", scale, above=True)
    share, most = number("step", step, above=True), whole("steps", steps)
    generator = torch_generator(seed, "small start")
    weights = {
        name: torch.randn(p.shape, generator=generator, dtype=torch.float64)
        * (scale / math.sqrt(p[0].numel() if p.ndim > 1 else 1))
        for name, p in task.network.named_parameters()
    }
    origin = float(task.loss(torch.zeros_like(task.gradient), task.targets))
    if not origin > 0:
        raise TheoryError(
            f"the loss at outputs zero is {origin:g}: levels are shares of it and need it above 0."
        )

    def loss(at: Weights) -> torch.Tensor:
        return task.loss(task.outputs(at), task.targets)

    slope = grad_and_value(loss)
    times, losses, norms, passages, time = [], [], [], [], 0.0
    start = _passage(task, weights, 1.0, float("nan"), 0.0)
    for _ in range(most):
        gradients, value = slope(weights)
        ratio = float(value) / origin
        size = math.sqrt(sum(float(w.square().sum()) for w in weights.values()))
        steep = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        times.append(time)
        losses.append(ratio)
        norms.append(size)
        while len(passages) < len(wanted) and ratio <= wanted[len(passages)]:
            passages.append(_passage(task, weights, wanted[len(passages)], ratio, time))
        if len(passages) == len(wanted) or not steep > 0:
            break
        length = share * size / steep
        time += length
        weights = {name: w - length * gradients[name] for name, w in weights.items()}
    if not passages:
        raise TheoryError(
            f"after {len(losses)} steps the loss is {losses[-1]:.4g} of that at the origin and no level of "
            f"{list(levels)} was reached. Raise steps=, scale= or the levels."
        )
    return SmallStart(np.array(times), np.array(losses), np.array(norms), start, tuple(passages))


def _passage(task: Task, weights: Weights, level: float, loss: float, time: float) -> Passage:
    return Passage(level, loss, time, speed_of(task, weights), layer_ranks(task, weights), weights)
