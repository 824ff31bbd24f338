"""What tuning a model family runs: the base at one configuration after another, as the objective of a search."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from similitude.core.errors import GridError, SimilitudeError
from similitude.data.batches import Batches
from similitude.runs.grid import Cell
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan, Planner
from similitude.scaling.sizes import Factory, Size, arguments
from similitude.studies.base_knobs import BaseSettings, check_space, default_space, merged, settings_of
from similitude.studies.family import Family
from similitude.studies.fingerprints import with_batches
from similitude.studies.probe import failure
from similitude.training.ensemble import Replica, train_ensemble
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, constant
from similitude.tuning.space.space import Space

SEED = "seed"


@dataclass(frozen=True)
class FamilySearch(Family):
    """One model family: tuned at the smallest of its sizes, verified at the others, planned for a target.

    Attributes:
        name: Name of the search, and of its studies.
        make: Function of the width, or of the width and the depth, that returns a model.
        batches: Gives the batch of every seed and step.
        widths: Widths; the smallest is the base that is tuned, the others verify that its knobs stay the best.
        depths: Depths in place of widths, likewise.
        base: Dials that stay as they are, e.g. `{"depth": 6}` beside `widths`.
        rules: The parametrization, one; "mup" by default.
        depth_rule: The depth rule over depths, one.
        space: What is tuned: "lr", options of the optimizer, and knobs such as "output.multiplier", all `sim.Log`; the
            learning rate, the weight decay, the init of the matrices and multipliers of table and head where None.
        lr: Learning rate at which the search begins, where no space is given.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or callable.
        steps: Optimizer steps per run.
        seeds: Seeds; each configuration is trained with all of them.
        schedule: Multiplier of the learning rate by step.
        roles: Roles of tensors that the traced pass cannot tell, by name or glob.
        knobs: Knobs of the base that stay as they are.

    Raises:
        GridError: There are no two sizes, no step or no seed, or several rules.
        TuningError: The space is none of a base's knobs.
        PlanError: There is no such rule, or the optimizer takes matrices alone.
    """

    name: str
    make: Factory
    batches: Batches
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    base: int | Size | None = None
    rules: tuple[str, ...] | None = None
    depth_rule: DepthRule | Sequence[DepthRule] | None = None
    space: Space | None = None
    lr: float = 2.0**-8
    loss: Loss = cross_entropy
    optimizer: OptimizerLike = torch.optim.AdamW
    steps: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    schedule: Schedule = constant
    roles: Mapping[str, str] | None = None
    knobs: Knobs | None = None

    def __post_init__(self) -> None:
        if self.rules is None and not self.depths:
            object.__setattr__(self, "rules", ("mup",))
        self._check()
        if len(self.compared()) > 1:
            raise GridError(
                f"{', '.join(self.compared())}: a family is tuned under one rule. Name the one for the target."
            )
        if self.space is not None:
            check_space(self.space, self.optimizer)

    @property
    def rule(self) -> str:
        """The name of the parametrization or of the depth rule."""
        return next(iter(self.compared()))

    def planner(self, settings: BaseSettings | None = None) -> Planner:
        """Return what plans every size with the knobs of a configuration."""
        compared = self.compared()[self.rule]
        return Planner(
            self.make,
            base=self.at(self.sizes[0]),
            sample=self.batches.batch(self.seeds[0], 0),
            optimizer=self.optimizer,
            rule=compared.rule,
            depth_rule=compared.depth_rule,
            roles=self.roles,
            loss=self.loss,
            knobs=merged(self.knobs, {} if settings is None else settings.knobs),
        )

    def searched(self) -> Space:
        """Return what is tuned.

        Raises:
            PlanError: No space was given, and the roles of the model cannot be told.
        """
        if self.space is not None:
            return self.space
        plan = self.planner().plan(self.at(self.sizes[1]))
        plan.raise_if_bad()
        return default_space({row.role for row in plan.rows}, self.optimizer, lr=self.lr)

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides a run's result besides its configuration and seed; the same in every process.

        Raises:
            FactoryError: The model cannot be built.
            DataError: The batches do not say what they are.
        """
        mine = {"kind": "tuned family", **self._training(), **self._given_roles(), "rule": self.rule}
        return with_batches(mine, self.batches)


def train_at(search: FamilySearch, size: int, configurations: Sequence[Mapping[str, Any]]) -> list[RunResult]:
    """Train configurations at one size that differ in what runs of one program may: seed, rate, options.

    Args:
        search: The family.
        size: Value of the dial.
        configurations: By name what `settings_of` reads, and "seed"; all with the same knobs.

    Returns:
        A result for each, in their order.

    Raises:
        StudyError: The user's model, loss or batches raise; the text names them.
    """
    read = [
        (int(given[SEED]), settings_of({name: v for name, v in given.items() if name != SEED}))
        for given in configurations
    ]
    where = search.at(size)
    plan = planned(search, read[0][1], where)
    args, kwargs = arguments(search.make, where)
    try:
        return train_ensemble(
            functools.partial(search.make, *args, **kwargs),
            [Replica(seed=seed, lr=settings.lr, options=settings.options) for seed, settings in read],
            batches=search.batches,
            loss=search.loss,
            steps=search.steps,
            optimizer=search.optimizer,
            plan=plan,
            schedule=search.schedule,
        )
    except SimilitudeError:
        raise
    except Exception as error:
        raise failure(search, where, error) from error


def planned(search: FamilySearch, settings: BaseSettings, target: Size) -> Plan:
    """Plan a size with the knobs of a configuration.

    Raises:
        PlanError: The sizes cannot be planned.
        RoleError: A tensor's role cannot be told.
    """
    plan = search.planner(settings).plan(target)
    plan.raise_if_bad()
    return plan


@dataclass(frozen=True)
class BaseObjective:
    """The mean final loss of the base over the seeds, by configuration; plain data, to go to another process.

    Attributes:
        search: The family.
        space: What is tuned.
    """

    search: FamilySearch
    space: Space

    def __call__(self, trial: Any) -> float:
        """Train the base with what a trial suggests."""
        values = self.space.suggest(trial)
        runs = train_at(
            self.search, self.search.sizes[0], [{**values, SEED: seed} for seed in self.search.seeds]
        )
        if any(run.diverged for run in runs):
            lost = sum(run.diverged for run in runs)
            self.space.fail(trial, "diverged", f"{lost} of {len(runs)} seeds")
        return float(np.mean([run.final for run in runs]))


def one_run(values: Mapping[str, Any]) -> float:
    """Return what a configuration of the base costs: all the same, since size and steps stay."""
    return 1.0


def cell_of(search: FamilySearch, size: int, values: Mapping[str, float], seed: int) -> Cell:
    """Return the cell of one run of the verification: its size, its whole configuration, its seed."""
    return Cell.of(**{search.dial: size, **values, SEED: seed})
