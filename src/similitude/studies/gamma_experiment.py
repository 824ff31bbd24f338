"""What a sweep of gamma runs: one model at one size, its data and training, and the grid of gammas and rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from similitude.core.errors import GridError
from similitude.data.batches import Batches, check_batches, describe_batches
from similitude.scaling.axes import build
from similitude.scaling.centred import Centred
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.outputs import Divided, Entry
from similitude.scaling.richness import known_gamma
from similitude.scaling.sizes import Factory, arguments, as_size
from similitude.studies.fingerprints import training_fingerprint, with_batches
from similitude.studies.grid_checks import check_optimizer, check_rates, check_runs
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

DOUBLE_BELOW = 2e-3
"""Gammas below it are trained in double precision: the weights move by about gamma of their size, and outputs are
differences of that size, of which single precision would keep too few digits."""


@dataclass(frozen=True)
class GammaExperiment:
    """One model that is trained the same way at every richness.

    Attributes:
        name: Name of the experiment, and of its study.
        make: Function of the size that returns a model.
        batches: Gives the batch of every seed and step.
        base: Size of the model: a width, or a dict of dials.
        gammas: Richnesses, at least two, in any order.
        lrs: Learning rates to try at every gamma; None to search them, from a range that is the same for all.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or callable.
        steps: Optimizer steps per run.
        seeds: Seeds, each an initialization and an order of the data.
        schedule: Multiplier of the learning rate by step.
        centre: Whether the model's initial output is taken off (`Centred`).
        output: Entry of the model's output that is centred and divided; see `similitude.scaling.outputs.entry_of`.

    Raises:
        GridError: The gammas, rates, seeds or steps are no grid of runs.
        PlanError: A gamma is not positive and finite, `base` is no size, or the optimizer takes matrices alone.
        DataError: `batches` lacks a method.
    """

    name: str
    make: Factory
    batches: Batches
    base: Mapping[str, int]
    gammas: tuple[float, ...]
    lrs: tuple[float, ...] | None = None
    loss: Loss = cross_entropy
    optimizer: OptimizerLike = torch.optim.SGD
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    schedule: Schedule = constant
    centre: bool = True
    output: Entry | None = None

    def __post_init__(self) -> None:
        gammas = tuple(sorted(known_gamma(gamma) for gamma in self.gammas))
        if len(gammas) < 2 or len(set(gammas)) != len(gammas):
            raise GridError(
                f"gammas={self.gammas!r}: a sweep compares at least two, each once, e.g. (0.01, 0.1, 1, 10, 100)."
            )
        object.__setattr__(self, "gammas", gammas)
        object.__setattr__(self, "base", as_size(self.base, "base"))
        if self.lrs is not None:
            object.__setattr__(self, "lrs", check_rates(self.lrs))
        check_runs(self.steps, self.seeds)
        check_batches(self.batches)
        check_optimizer(self.optimizer)

    @property
    def width(self) -> int:
        """Width of the model."""
        return self.base["width"]

    def model(self, gamma: float) -> nn.Module:
        """Build the model whose loss is trained at one richness, from the generators as they stand."""
        args, kwargs = arguments(self.make, self.base)
        model = self.make(*args, **kwargs)
        if gamma < DOUBLE_BELOW:
            model.double()
        return Divided(
            Centred(model, output=self.output) if self.centre else model, gamma, output=self.output
        )

    def batches_at(self, gamma: float) -> Batches:
        """Return the batches in the precision of a richness."""
        return InDouble(self.batches) if gamma < DOUBLE_BELOW else self.batches

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides a run's result besides gamma, rate and seed; the same in every process.

        Raises:
            FactoryError: The model cannot be built.
            DataError: The batches do not say what they are.
        """
        build(self.make, self.base)  # its errors name the factory and the size
        mine = {
            "kind": "gamma sweep",
            **training_fingerprint(
                self.make,
                self.base,
                loss=self.loss,
                optimizer=self.optimizer,
                steps=self.steps,
                schedule=self.schedule,
            ),
            "size": dict(self.base),
            "centred": self.centre,
        }
        if self.output is not None:
            mine["output"] = self.output
        return with_batches(mine, self.batches)


@dataclass(frozen=True)
class InDouble:
    """Batches with every floating-point tensor in double precision."""

    batches: Batches

    def batch(self, seed: int, step: int) -> Any:
        """Return the training batch of one step."""
        return _double(self.batches.batch(seed, step))

    def evaluation(self) -> Any:
        """Return the evaluation batch, or None where there is none."""
        return _double(self.batches.evaluation())

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return describe_batches(self.batches)


def _double(batch: Any) -> Any:
    return pytree.tree_map(
        lambda x: x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x, batch
    )
