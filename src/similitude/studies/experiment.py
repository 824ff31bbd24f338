"""What a transfer study runs: a model family, its data and its training, and the grid of sizes and rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from similitude.core.errors import GridError
from similitude.data.batches import Batches
from similitude.runs.grid import Cell, cells
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Planner
from similitude.scaling.sizes import Factory, Size
from similitude.studies.family import Family
from similitude.studies.fingerprints import with_batches
from similitude.studies.grid_checks import check_rates
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

BASE = "base"
"""The rule's name of cells at the base, where every rule is the same and one run serves all."""


@dataclass(frozen=True)
class Experiment(Family):
    """One model family, trained the same way at every value of one of its dials: its width, or its depth.

    Attributes:
        name: Name of the experiment, and of its study.
        make: Function of the width, or of the width and the depth, that returns a model.
        batches: Gives the batch of every seed and step.
        lrs: Learning rates to try at every size, increasing.
        widths: Widths, increasing; the first is the base, on which every rule agrees.
        depths: Depths in place of widths, likewise.
        base: Dials that stay as they are, e.g. `{"width": 128}` beside `depths`; an integer is a width.
        rules: Parametrizations to compare over widths; "sp" and "mup" by default.
        depth_rule: Depth rule to use over depths, or several to compare.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or callable.
        steps: Optimizer steps per run.
        seeds: Seeds, each an initialization and an order of the data.
        schedule: Multiplier of the learning rate by step.
        roles: Roles of tensors that the traced pass cannot tell, by name or glob, e.g. `{"pos": "input"}`.
        knobs: Multipliers of the base by role; see `similitude.scaling.knobs`.
        weight_decay: "independent" or "decoupled" of the learning rate's factors; see `similitude.plan`.

    Raises:
        GridError: The sizes, rates, rules, seeds or steps are no grid of runs.
        PlanError: There is no such rule, or the optimizer takes matrices alone.
        DataError: `batches` lacks a method.
    """

    name: str
    make: Factory
    batches: Batches
    lrs: tuple[float, ...]
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    base: int | Size | None = None
    rules: tuple[str, ...] | None = None
    depth_rule: DepthRule | Sequence[DepthRule] | None = None
    loss: Loss = cross_entropy
    optimizer: OptimizerLike = torch.optim.Adam
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    schedule: Schedule = constant
    roles: Mapping[str, str] | None = None
    knobs: Knobs | None = None
    weight_decay: str = "independent"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lrs", check_rates(self.lrs))
        self._check()

    def grid(self) -> tuple[Cell, ...]:
        """Return every cell, those of the base once for all rules."""
        first, rest = {self.dial: self.sizes[:1]}, {self.dial: self.sizes[1:]}
        shared = cells(rule=BASE, **first, lr=self.lrs, seed=self.seeds)
        return shared + cells(rule=list(self.compared()), **rest, lr=self.lrs, seed=self.seeds)

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides a cell's result besides the cell: results of another fingerprint never mix.

        It is the same in every process.

        Raises:
            FactoryError: The model cannot be built.
            DataError: The batches do not say what they are.
        """
        mine = {**self._training(), **self._given_roles()}
        if self.weight_decay != "independent":
            mine["weight decay over widths"] = self.weight_decay
        return with_batches(mine, self.batches)


def planner_of(experiment: Experiment) -> Planner:
    """Return what plans every size of an experiment, under the last of its rules, tracing its loss on its first batch.

    Raises:
        PlanError: The rule or the optimizer does not exist.
        FactoryError: The model cannot be built.
    """
    last = list(experiment.compared().values())[-1]
    return Planner(
        experiment.make,
        base=experiment.at(experiment.sizes[0]),
        sample=experiment.batches.batch(experiment.seeds[0], 0),
        optimizer=experiment.optimizer,
        rule=last.rule,
        depth_rule=last.depth_rule,
        roles=experiment.roles,
        loss=experiment.loss,
        knobs=experiment.knobs,
        weight_decay=experiment.weight_decay,
    )


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
            f"{points} learning rate{'' if points == 1 else 's'} from {low:g} to {high:g} are no grid: give "
            "0 < lowest < highest, and at least 5 points so that the optimum can lie inside, e.g. "
            "--lr-min 2^-11 --lr-max 2^-4 --points 8."
        )
    factor = (high / low) ** (1 / (points - 1))
    inner: Sequence[float] = [low * factor**i for i in range(1, points - 1)]
    return (low, *inner, high)
