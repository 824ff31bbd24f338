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
_DESCENT = 0.75  # of what the gradient promises: steps are at most half of the inverse curvature along it
_SHORTEST = (
    2e-3  # of the weights' norm: along kinks of the ReLU gradient descent has to cross them to and fro
)
_VALLEY = 2.0  # how much larger the slope was before a saddle, and is after it
_PLATEAU = 0.1  # saddles are one where the loss falls by less than this share from one to the next


@dataclass(frozen=True, eq=False)
class Passage:
    """The network when the loss first fell to a level, or at a saddle.

    Attributes:
        level: The level asked for, a share of the loss at outputs zero; at a saddle the loss there.
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
        slopes: Of the loss: norms of its gradient, shape (steps,).
        start: The network at its initialization.
        passages: The network at every level that was reached, in their order; levels that were not are missing.
        saddles: The network where the slope was least on each plateau after the one at the origin that the run has left:
            where it had halved before, and doubled after. Those within a tenth of the loss are one.
        missed: Levels that the run did not come to.
    """

    times: Array
    losses: Array
    norms: Array
    slopes: Array
    start: Passage
    passages: tuple[Passage, ...]
    saddles: tuple[Passage, ...]
    missed: tuple[float, ...]

    def __str__(self) -> str:
        shown = [f"loss {p.loss:.3g} at time {p.time:.4g}, bottleneck rank {p.rank}" for p in self.passages]
        shown += [
            f"saddle: loss {p.loss:.3g} at time {p.time:.4g}, bottleneck rank {p.rank}" for p in self.saddles
        ]
        missed = ", ".join(f"{level:g}" for level in self.missed)
        shown += [f"not reached in {len(self.times)} steps: {missed}. Raise steps="] if missed else []
        return "\n".join(shown)


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

    Steps go along the gradient by a fixed share of the weights' norm, or less where that would overshoot: the path of
    gradient flow in a time of its own, so that the plateau takes a hundred steps instead of a million.

    Args:
        task: The network and its data: `relu_task` or `homogeneous_task`.
        levels: Shares of the loss at outputs zero, falling, where the layers are looked at. The run ends at the last: to
            see later saddles, let it be small.
        scale: Weights start as Gaussians of this times 1 / sqrt(fan-in).
        step: Longest step over the norm of all weights.
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
    drawn = task.drawn(torch_generator(seed, "small start"))
    weights = {name: w * (scale / math.sqrt(w[0].numel() if w.ndim > 1 else 1)) for name, w in drawn.items()}
    origin = float(task.loss(torch.zeros_like(task.gradient), task.targets))
    if not origin > 0:
        raise TheoryError(
            f"the loss at outputs zero is {origin:g}: levels are shares of it and need it above 0."
        )

    def loss(at: Weights) -> torch.Tensor:
        return task.loss(task.outputs(at), task.targets)

    slope = grad_and_value(loss)
    trace, passages, valleys, time, longest = [], [], _Valleys(), 0.0, math.inf
    start = _passage(task, weights, 1.0, float("nan"), 0.0)
    gradients, value = slope(weights)
    while len(trace) < most:
        ratio, steep = float(value) / origin, _norm(gradients)
        trace.append((time, ratio, _norm(weights), steep))
        valleys.add(steep, time, ratio, weights)
        while len(passages) < len(wanted) and ratio <= wanted[len(passages)]:
            passages.append(_passage(task, weights, wanted[len(passages)], ratio, time))
        if len(passages) == len(wanted) or not steep > 0:
            break
        length = min(share * trace[-1][2] / steep, longest)
        while True:
            moved = {name: w - length * gradients[name] for name, w in weights.items()}
            after, found = slope(moved)
            if (
                float(value - found) >= _DESCENT * length * steep**2
                or length * steep <= _SHORTEST * trace[-1][2]
            ):
                break
            length /= 2
        longest = 2 * length
        time, weights, gradients, value = time + length, moved, after, found
    times, losses, norms, slopes = (np.array(column) for column in zip(*trace, strict=True))
    if not passages:
        remedy = (
            "Its gradient is zero, as where every ReLU is off: choose another seed="
            if not slopes[-1] > 0
            else "Raise steps=, scale= or the levels"
        )
        raise TheoryError(
            f"after {len(losses)} steps the loss is {losses[-1]:.4g} of that at the origin and no level of "
            f"{list(levels)} was reached. {remedy}."
        )
    saddles = tuple(_passage(task, w, at, at, when) for _, when, at, w in valleys.left)
    missed = tuple(wanted[len(passages) :])
    return SmallStart(times, losses, norms, slopes, start, tuple(passages), saddles, missed)


class _Valleys:
    """Finds where the slope of a falling loss is least between times at which it was more than twice as large."""

    def __init__(self) -> None:
        self.left: list[tuple[float, float, float, Weights]] = []
        self._before = 0.0
        self._low: tuple[float, float, float, Weights] = (math.inf, 0.0, 0.0, {})

    def add(self, slope: float, time: float, loss: float, weights: Weights) -> None:
        """Take the next step of a run."""
        place = (slope, time, loss, weights)
        if slope <= self._low[0]:
            self._low = place
        elif slope > _VALLEY * self._low[0]:
            if self._before > _VALLEY * self._low[0]:
                # at kinks of the ReLU the slope jumps to and fro on one plateau
                if self.left and self._low[2] > (1 - _PLATEAU) * self.left[-1][2]:
                    self.left[-1] = min(self.left[-1], self._low, key=lambda one: one[0])
                else:
                    self.left.append(self._low)
                self._before = 0.0
            self._before, self._low = max(self._before, slope), place


def _norm(weights: Weights) -> float:
    return math.sqrt(sum(float(w.square().sum()) for w in weights.values()))


def _passage(task: Task, weights: Weights, level: float, loss: float, time: float) -> Passage:
    return Passage(level, loss, time, speed_of(task, weights), layer_ranks(task, weights), weights)
