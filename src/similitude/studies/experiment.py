"""What a transfer study runs: a model family, its data and its training, and the grid of sizes and rates."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from similitude.core.errors import GridError
from similitude.data.batches import Batches
from similitude.runs.grid import Cell, cells
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.studies.grid_checks import check_rates, check_widths
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

BASE = "base"
"""The rule's name of cells at the base width, where every rule is the same and one run serves all."""


@dataclass(frozen=True)
class Experiment:
    """One model family, trained the same way at every width.

    Attributes:
        name: Name of the experiment, and of its study.
        make: Function of the width that returns a model.
        batches: Gives the batch of every seed and step.
        widths: Widths, increasing; the first is the base, on which every rule agrees.
        lrs: Learning rates to try at every width, increasing.
        rules: Parametrizations to compare.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or callable.
        steps: Optimizer steps per run.
        seeds: Seeds, each an initialization and an order of the data.
        schedule: Multiplier of the learning rate by step.
    """

    name: str
    make: Callable[[int], nn.Module]
    batches: Batches
    widths: tuple[int, ...]
    lrs: tuple[float, ...]
    rules: tuple[str, ...] = ("sp", "mup")
    loss: Loss = cross_entropy
    optimizer: OptimizerLike = torch.optim.Adam
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    schedule: Schedule = constant

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", check_widths(self.widths))
        object.__setattr__(self, "lrs", check_rates(self.lrs))
        if not self.rules or len(set(self.rules)) != len(self.rules):
            raise GridError(f"rules={self.rules!r}: name at least one rule, each once, e.g. ('sp', 'mup').")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise GridError(f"seeds={self.seeds!r}: give at least one seed, each once; 3 give an interval.")
        if self.steps < 1:
            raise GridError(f"steps={self.steps}: a run needs at least 1 optimizer step.")

    @property
    def base(self) -> int:
        """The smallest width, to which every factor of a plan is relative."""
        return self.widths[0]

    def grid(self) -> tuple[Cell, ...]:
        """Return every cell, the base width's once for all rules."""
        shared = cells(rule=BASE, width=self.base, lr=self.lrs, seed=self.seeds)
        larger = self.widths[1:]
        return shared + (
            cells(rule=self.rules, width=larger, lr=self.lrs, seed=self.seeds) if larger else ()
        )

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides a cell's result besides the cell: results of another fingerprint never mix."""
        spec = resolve(self.optimizer)
        return {
            "model": describe(self.make),
            "tensors at the base": _shapes(self.make, self.base),
            "base width": self.base,
            "loss": describe(self.loss),
            "optimizer": spec.name,
            "optimizer options": {k: v for k, v in sorted(spec.defaults.items()) if v is not None},
            "steps": self.steps,
            "schedule": describe(self.schedule),
            **self.batches.describe(),
        }


def describe(thing: Any) -> str:
    """Name a function, a partial or an object in a way that is the same in every process."""
    if isinstance(thing, functools.partial):
        options = [*map(repr, thing.args), *(f"{k}={v!r}" for k, v in sorted(thing.keywords.items()))]
        return f"{describe(thing.func)}({', '.join(options)})"
    if hasattr(thing, "__qualname__"):
        module = getattr(thing, "__module__", None)
        return f"{module}.{thing.__qualname__}" if module else thing.__qualname__
    text = repr(thing)
    return type(thing).__qualname__ if " at 0x" in text else text


def _shapes(make: Callable[[int], nn.Module], width: int) -> str:
    """Digest names and shapes of the model's tensors, so that an edited model is another experiment."""
    try:
        with torch.device("meta"):
            model = make(width)
    except Exception:  # A factory that cannot build on meta builds for real.
        model = make(width)
    text = repr([(name, tuple(p.shape)) for name, p in model.named_parameters()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rates(low: float, high: float, points: int) -> tuple[float, ...]:
    """Return `points` learning rates from `low` to `high`, evenly spaced in their logarithm.

    Example:
        >>> rates(2**-10, 2**-8, 3)
        (0.0009765625, 0.001953125, 0.00390625)

    Raises:
        GridError: Fewer than two points, or not 0 < low < high.
    """
    if points < 2 or not 0 < low < high < float("inf"):
        raise GridError(
            f"learning rates from {low} to {high} at {points} points: give 0 < lowest < highest and at least 5 points "
            "(e.g. 2^-11 to 2^-4 at 8), so that the optimum can lie inside."
        )
    factor = (high / low) ** (1 / (points - 1))
    inner: Sequence[float] = [low * factor**i for i in range(1, points - 1)]
    return (low, *inner, high)
