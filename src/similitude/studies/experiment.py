"""What a transfer study runs: a model family, its data and its training, and the grid of sizes and rates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

import torch
from torch import nn

from similitude.core.errors import GridError
from similitude.data.batches import Batches, check_batches, describe_batches
from similitude.runs.grid import Cell, cells
from similitude.scaling.axes import build_shapes
from similitude.scaling.knobs import Knobs, parse_knobs
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.plan import Planner
from similitude.studies.grid_checks import check_rates, check_widths
from similitude.studies.names import code_of, name_of
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
        roles: Roles of tensors that the traced pass cannot tell, by name or glob, e.g. `{"pos": "input"}`.
        knobs: Multipliers of the base by role; see `similitude.scaling.knobs`.
        weight_decay: "independent" or "decoupled" of the learning rate's factors; see `similitude.plan`.

    Raises:
        GridError: The widths, rates, rules, seeds or steps are no grid of runs.
        DataError: `batches` lacks a method.
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
    roles: Mapping[str, str] | None = None
    knobs: Knobs | None = None
    weight_decay: str = "independent"

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", check_widths(self.widths))
        object.__setattr__(self, "lrs", check_rates(self.lrs))
        if not self.rules or len(set(self.rules)) != len(self.rules):
            raise GridError(f"rules={self.rules!r}: name at least one rule, each once, e.g. ('sp', 'mup').")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise GridError(f"seeds={self.seeds!r}: give at least one seed, each once, e.g. (0, 1, 2).")
        for seed in self.seeds:
            if not isinstance(seed, Integral) or isinstance(seed, bool):
                raise GridError(
                    f"seeds={self.seeds!r}: {seed!r} is not a whole number. Pass e.g. seeds=(0, 1, 2)."
                )
        if not isinstance(self.steps, Integral) or self.steps < 1:
            raise GridError(
                f"steps={self.steps!r}: a run needs a whole number of optimizer steps, at least 1, e.g. 200."
            )
        check_batches(self.batches)

    @property
    def base(self) -> int:
        """The smallest width, to which every factor of a plan is relative."""
        return self.widths[0]

    def grid(self) -> tuple[Cell, ...]:
        """Return every cell, the base width's once for all rules."""
        shared = cells(rule=BASE, width=self.base, lr=self.lrs, seed=self.seeds)
        return shared + cells(rule=self.rules, width=self.widths[1:], lr=self.lrs, seed=self.seeds)

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides a cell's result besides the cell: results of another fingerprint never mix.

        It is the same in every process.

        Raises:
            FactoryError: The model cannot be built.
            DataError: The batches do not say what they are.
        """
        spec = resolve(self.optimizer)
        mine = {
            "model": name_of(self.make),
            "code of the model": _digest(self.make, self.base),
            "base width": self.base,
            "loss": name_of(self.loss),
            "optimizer": spec.name,
            "optimizer options": {k: v for k, v in sorted(spec.defaults.items()) if v is not None},
            "steps": self.steps,
            "schedule": name_of(self.schedule),
        }
        if self.roles:
            mine["roles"] = dict(sorted(self.roles.items()))
        if self.knobs:
            mine["knobs"] = {role: asdict(knob) for role, knob in sorted(parse_knobs(self.knobs).items())}
        if self.weight_decay != "independent":
            mine["weight decay over widths"] = self.weight_decay
        data = describe_batches(self.batches)
        return mine | {f"batches: {key}" if key in mine else key: value for key, value in data.items()}


def _digest(make: Callable[[int], nn.Module], width: int) -> str:
    """Digest the model's tensors, modules and source code, so that an edited model is another experiment."""
    model = build_shapes(make, width)
    text = repr([(name, tuple(p.shape), str(p.dtype)) for name, p in model.named_parameters()])
    text += code_of(make, model)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def planner_of(experiment: Experiment) -> Planner:
    """Return what plans every width and rule of an experiment, tracing its loss on its first batch.

    Raises:
        PlanError: The rule or the optimizer does not exist.
        FactoryError: The model cannot be built.
    """
    return Planner(
        experiment.make,
        base=experiment.base,
        sample=experiment.batches.batch(experiment.seeds[0], 0),
        optimizer=experiment.optimizer,
        rule=experiment.rules[-1],
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
