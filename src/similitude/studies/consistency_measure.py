"""One run of a study of Super Consistency: trained by the groups of its plan, and measured on a probe on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.seeding import torch_generator
from similitude.landscape.curvature import Curvature, Kind
from similitude.landscape.lanczos import Eigenvalues, lanczos
from similitude.landscape.tracker import SharpnessTracker
from similitude.landscape.tracker_records import SharpnessRecord
from similitude.landscape.units import Units, units_of
from similitude.runs.grid import Cell
from similitude.scaling.centred import Centred
from similitude.scaling.outputs import Entry, entry_of
from similitude.scaling.plan import Plan
from similitude.studies.consistency_experiment import ConsistencyExperiment
from similitude.training.build import build_optimizer
from similitude.training.loop import train
from similitude.training.result import RunResult

SHARPNESS_TOL = 5e-3
"""Relative error of a measured sharpness."""

THOROUGH_TOL = 5e-2
"""Relative error of what is measured at the ends of windows."""

RESIDUAL_PRODUCTS = 14
"""Products at most for the residual part, each as dear as three gradients: its eigenvalues are crowded at the top, so
that a sharp one would take as many as all else. The value is then a few percent low."""

_NOISE = 0.3  # length of what is mixed to a unit vector that a search begins with

Row = dict[str, float]
"""What was measured at one step, by name; nan where it could not be."""


@dataclass(frozen=True)
class MeasuredRun:
    """A run with its measurements.

    Attributes:
        result: Losses of the training.
        rows: One row per measurement, in the order of steps; empty where the run is not measured.
    """

    result: RunResult
    rows: tuple[Row, ...] = ()


@cites(2, "Section 3: sharpness along training at several sizes")
def measured_run(
    experiment: ConsistencyExperiment,
    cell: Cell,
    plan: Plan,
    on_step: Callable[[int], None] | None = None,
) -> MeasuredRun:
    """Train one cell, and measure it every `cell["every"]` steps where that is not 0.

    Args:
        experiment: What is run.
        cell: Its size, rule, learning rate, seed and how often it is measured.
        plan: The plan of its size under its rule.
        on_step: Called after every step with the number of steps made.
    """
    model = experiment.build(cell, plan)
    groups = plan.groups(model, lr=float(cell["lr"]))
    optimizer = build_optimizer(experiment.optimizer, groups)
    used = Centred(model, output=experiment.output) if experiment.centre else model
    every = int(cell["every"])
    rows: list[Row] = []
    probe = Probe(experiment, used, optimizer) if every else None

    def look(step: int) -> None:
        if probe is not None and step % every == 0:
            rows.append(probe.measure(step))

    def after(step: int, loss: float) -> None:
        look(step + 1)
        if on_step is not None:
            on_step(step + 1)

    used.train()
    with _first_rates(optimizer, experiment.schedule(0)):
        look(0)
    result = train(
        used,
        optimizer,
        batches=experiment.trained_on,
        loss=experiment.loss,
        steps=experiment.steps,
        seed=int(cell["seed"]),
        schedule=experiment.schedule,
        on_step=after,
    )
    return MeasuredRun(result, tuple(rows))


@contextmanager
def _first_rates(optimizer: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """Give every group the rate of its first step, which the schedule sets only once training begins."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * factor
    yield
    for group, rate in zip(optimizer.param_groups, before, strict=True):
        group["lr"] = rate


@dataclass
class Probe:
    """Measures one model as it is trained; keeps the vectors of the last measurement, from which the next one begins.

    Args:
        experiment: What is run.
        model: The model whose loss is trained.
        optimizer: Its optimizer, in whose units curvature is measured.
    """

    experiment: ConsistencyExperiment
    model: nn.Module
    optimizer: torch.optim.Optimizer
    _tracker: SharpnessTracker = field(init=False)
    _batch: Any = field(init=False)
    _start: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._batch = self.experiment.probed()
        self._tracker = SharpnessTracker(self.experiment.loss, probe=self._batch, tol=SHARPNESS_TOL)

    def measure(self, step: int) -> Row:
        """Measure the sharpness, and at the ends of windows everything else, in the optimizer's units.

        Eigenvalues are those of the operators between two factors of diag(scale), times the learning rate, so that they
        are comparable between sizes whose groups have different rates.
        """
        record = self._tracker.measure(self.model, self.optimizer, step)
        row = _row(record)
        if step in self.experiment.thorough and record.finite and record.threshold is not None:
            row |= self._thorough()
        return row

    def _thorough(self) -> Row:
        pick = None if self.experiment.output is None else partial(entry_of, entry=self.experiment.output)
        with Curvature(self.model, self.experiment.loss, self._batch, outputs=pick) as curv:
            units = units_of(self.optimizer, curv.space)
            top = _top(curv, units, "hessian", k=min(self.experiment.top, curv.dim), start=self._start)
            self._start = top.vectors
            part, residual = (_top(curv, units, kind) for kind in ("gauss_newton", "residual"))
        energy = partial(output_energy, loss=self.experiment.loss, entry=self.experiment.output)
        with Curvature(self.model, energy, self._batch, outputs=pick) as curv:
            ntk = _top(curv, units, "gauss_newton", start=part.vectors)
        row = {f"top_{i + 1}": value for i, value in enumerate(top)}
        row |= {"gauss_newton": part[0], "residual": residual[0], "ntk": ntk[0]}
        return {name: units.eta * value for name, value in row.items()}


def _top(
    curv: Curvature, units: Units, kind: Kind, *, k: int = 1, start: Tensor | None = None
) -> Eigenvalues:
    """Find the largest eigenvalues of one operator between two factors of diag(scale)."""
    # The parts of the Hessian have no weight decay: only the whole has what it adds to the diagonal.
    operator = curv.operator(kind).scaled(units.scale, units.shift if kind == "hessian" else None)
    if start is not None and k == 1:
        # A start that is exactly an eigenvector would hide all others.
        noise = torch.randn(start.shape, generator=torch_generator(0, "start"), dtype=torch.float32)
        start = start + _NOISE * noise.to(start) / noise.norm()
    most = RESIDUAL_PRODUCTS if kind == "residual" else None
    return lanczos(operator, k, tol=THOROUGH_TOL, start=start, most=most)


def output_energy(model: nn.Module, batch: Any, *, loss: Any, entry: Entry | None) -> Tensor:
    """Half the squared outputs, summed over outputs and averaged over examples, of the model as a loss calls it.

    Its Gauss-Newton matrix is J^T J / examples, whose eigenvalues are those of the NTK J J^T over the examples.

    Args:
        model: The model.
        batch: A batch of the loss.
        loss: `loss(model, batch)`; it is run for the calls that it makes.
        entry: Entry of the output; see `similitude.scaling.outputs.entry_of`.
    """
    outputs: list[Tensor] = []
    handle = model.register_forward_hook(lambda module, args, result: outputs.append(entry_of(result, entry)))
    try:
        loss(model, batch)
    finally:
        handle.remove()
    return torch.stack([0.5 * out.square().sum() / len(out) for out in outputs]).sum()


def _row(record: SharpnessRecord) -> Row:
    units = record.threshold is not None and record.eta is not None
    return {
        "step": record.step,
        "loss": record.loss,
        "sharpness": record.value if units else math.nan,
        "eta_lambda": math.nan if record.eta_lambda is None else record.eta_lambda,
        "threshold": math.nan if record.threshold is None else record.threshold,
        "bound": record.bound,
        "products": record.products,
    }
