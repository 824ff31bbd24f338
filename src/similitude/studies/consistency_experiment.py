"""What a study of Super Consistency runs: a model family, its training, the rules, and what is measured when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import torch
from torch import nn

from similitude.core.errors import CurvatureError, GridError
from similitude.data.batches import Batches
from similitude.runs.grid import Cell, cells
from similitude.scaling.axes import build_shapes
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.outputs import Entry
from similitude.scaling.plan import Plan, Planner
from similitude.scaling.sizes import WIDTH, Factory, Size, arguments
from similitude.studies.consistency_batches import Distinct, FixedBatch
from similitude.studies.dials import Compared, compared
from similitude.studies.experiment import BASE
from similitude.studies.family import Family
from similitude.studies.fingerprints import digest_of_tensors, with_batches
from similitude.studies.windows import FRACTIONS, windows_of
from similitude.training.build import build_model
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

RULES = ("mup", "ntp")
"""Parametrizations that are compared over widths where none are named."""


@dataclass(frozen=True)
class ConsistencyExperiment(Family):
    """One model family, trained the same way at every size under every rule, its curvature measured on the way.

    Attributes:
        name: Name of the experiment, and of its study.
        make: Function of the width, or of the width and the depth, that returns a model.
        batches: Gives the batch of every seed and step.
        widths: Widths, increasing; the first is the base, on which every rule agrees.
        depths: Depths in place of widths, likewise.
        base: Dials that stay as they are, e.g. `{"width": 64}` beside `depths`.
        rules: Parametrizations to compare over widths; `RULES` where None.
        depth_rule: Depth rule over depths, or several to compare.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or callable.
        steps: Optimizer steps per run.
        every: Steps between measurements of the sharpness.
        seeds: Seeds, each an initialization and an order of the data.
        schedule: Multiplier of the learning rate by step.
        full_batch: Whether every step has the same batch, of distinct examples where the batches can give one.
        probe: Batch that everything is measured on; the first training batch of seed 0 where None.
        centre: Whether the model's initial output is taken off (`similitude.Centred`).
        output: Entry of the model's output that is centred, where it is neither a tensor nor has `logits`.
        top: Eigenvalues of the Hessian that are measured at the ends of windows; where 0 nothing but the sharpness is.
        windows: Parts of the run over which sharpness is averaged, as fractions of its steps.
        roles: Roles of tensors that the traced pass cannot tell, by name or glob.
        knobs: Multipliers of the base by role; see `similitude.scaling.knobs`.

    Raises:
        GridError: The sizes, rules, seeds, steps or windows are no grid of runs.
        PlanError: There is no such rule, or the optimizer takes matrices alone.
        DataError: `batches` lacks a method.
    """

    name: str
    make: Factory
    batches: Batches
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    base: int | Size | None = None
    rules: tuple[str, ...] | None = None
    depth_rule: DepthRule | Sequence[DepthRule] | None = None
    loss: Loss = cross_entropy
    optimizer: OptimizerLike = torch.optim.SGD
    steps: int = 300
    every: int = 10
    seeds: tuple[int, ...] = (0, 1, 2)
    schedule: Schedule = constant
    full_batch: bool = True
    probe: Any = None
    centre: bool = True
    output: Entry | None = None
    top: int = 5
    windows: tuple[tuple[float, float], ...] = FRACTIONS
    roles: Mapping[str, str] | None = None
    knobs: Knobs | None = None

    def __post_init__(self) -> None:
        self._check()
        for name, least in (("every", 1), ("top", 0)):
            number = getattr(self, name)
            if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
                raise GridError(f"{name}={number!r}: give a whole number of at least {least}.")
        windows_of(self.windows, self.steps, self.every)

    def compared(self) -> dict[str, Compared]:
        """Return the rules that are compared, by name: parametrizations over widths, depth rules over depths."""
        rules = RULES if self.rules is None and self.dial == WIDTH else self.rules
        return compared(self.dial, rules, self.depth_rule)

    @property
    def measured(self) -> tuple[int, ...]:
        """Steps before which the sharpness is measured; the last one lies behind the run."""
        return tuple(range(0, self.steps + 1, self.every))

    @property
    def thorough(self) -> tuple[int, ...]:
        """Steps at which everything else is measured too: the ends of the windows; none where `top` is 0."""
        if not self.top:
            return ()
        return tuple(window.last for window in windows_of(self.windows, self.steps, self.every))

    @property
    def trained_on(self) -> Batches:
        """The batches of the runs: the user's own, or one of them at every step."""
        return FixedBatch(self.batches) if self.full_batch else self.batches

    def probed(self) -> Any:
        """Return the batch that everything is measured on."""
        return self.trained_on.batch(0, 0) if self.probe is None else self.probe

    def grid(self, lrs: Sequence[float], *, every: int) -> tuple[Cell, ...]:
        """Return the cells of some learning rates, those of the base once for all rules.

        Args:
            lrs: Learning rates at the base.
            every: Steps between measurements; 0 where runs are trained and not measured.
        """
        rest = {"lr": [float(lr) for lr in lrs], "seed": self.seeds, "every": every}
        first, others = {self.dial: self.sizes[:1]}, {self.dial: self.sizes[1:]}
        return cells(rule=BASE, **first, **rest) + cells(rule=list(self.compared()), **others, **rest)

    def plans(self) -> dict[str, dict[int, Plan]]:
        """Plan every size under every rule, from the smallest size.

        Raises:
            PlanError: A tensor's role cannot be told under a rule that needs it.
            FactoryError: The model cannot be built.
        """
        planner = Planner(
            self.make,
            base=self.at(self.sizes[0]),
            sample=self.trained_on.batch(0, 0),
            optimizer=self.optimizer,
            roles=self.roles,
            loss=self.loss,
            knobs=self.knobs,
        )
        return self.planned(planner)

    def check_model(self) -> None:
        """Refuse a smallest model in which the asked eigenvalues are not there to be measured; nothing is trained yet.

        Raises:
            FactoryError: The model cannot be built.
            CurvatureError: It has no trainable parameter, or fewer than `top`.
        """
        smallest = self.sizes[0]
        model = build_shapes(self.make, self.at(smallest))
        held = sum(1 for _ in model.parameters())
        entries = sum(p.numel() for p in model.parameters() if p.requires_grad)
        if not entries:
            raise CurvatureError(
                f"the model of {self.dial} {smallest} has no trainable parameter: of its {held} parameters none has "
                "requires_grad, so there is no learning rate and no curvature. Leave those to train unfrozen."
            )
        if self.top > entries:
            raise CurvatureError(
                f"top={self.top} eigenvalues were asked for, and the model of {self.dial} {smallest} has {entries} "
                f"trainable numbers, so its Hessian has no more eigenvalues than that. Use at most {entries} (--top "
                f"{min(5, entries)} is enough for the figures)."
            )

    def build(self, cell: Cell, plan: Plan) -> nn.Module:
        """Build the model of a run, its initial values final."""
        args, kwargs = arguments(self.make, self.at(int(cell[self.dial])))
        return build_model(partial(self.make, *args, **kwargs), int(cell["seed"]), plan)

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides a cell's result besides the cell: results of another fingerprint never mix.

        Raises:
            FactoryError: The model cannot be built.
            DataError: The batches do not say what they are.
        """
        mine = {
            "kind": "consistency",
            **self._training(),
            "centred": self.centre,
            "full batch": self.full_batch,
            "eigenvalues": self.top,
            "measured in full at": list(self.thorough),
        }
        if self.full_batch and isinstance(self.batches, Distinct):
            mine["examples"] = "distinct"
        if self.probe is not None:
            mine["probe"] = digest_of_tensors(self.probe)
        if self.output is not None:
            mine["output"] = self.output
        return with_batches({**mine, **self._given_roles()}, self.batches)
