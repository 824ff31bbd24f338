"""The phase diagram of a model: train it at every richness and learning rate, and tell what every run did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from similitude.core.citation import cites
from similitude.core.errors import StudyError
from similitude.data import load
from similitude.data.batches import Batches, ImageBatches
from similitude.data.sets import ImageSet
from similitude.runs.engine import Engine
from similitude.runs.grid import Cell
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.outputs import Entry
from similitude.scaling.richness import power_of
from similitude.scaling.sizes import Factory, as_size, takes_width
from similitude.studies.gamma_experiment import GammaExperiment
from similitude.studies.gamma_exponents import RICH
from similitude.studies.gamma_records import GammaPoint, GammaSweep
from similitude.studies.gamma_start import untrained_curves
from similitude.studies.gamma_sweep import GAMMAS, count_layers, run_gamma_sweep, training_curves
from similitude.studies.jobs import Progress
from similitude.studies.names import name_of
from similitude.studies.richness.budgets import best_by_steps, check_budgets, default_budgets
from similitude.studies.richness.diagram import OpenEnd, PhaseCell, PhaseDiagram
from similitude.studies.richness.phases import over, phase_of
from similitude.studies.richness.rescaled_time import Collapse, collapse
from similitude.studies.run import DEFAULT_FOLDER
from similitude.studies.stable_rates import edges, learned, open_ends
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

_BELOW_EDGE = 8.0
"""How far below the largest stable rate a curve is taken for the collapse, where descent is near gradient flow."""

Curves = Mapping[Cell, np.ndarray]


@dataclass(frozen=True)
class OneSize:
    """A factory without arguments as a function of a width that changes nothing."""

    make: Callable[[], Any]

    def __call__(self, width: int) -> Any:
        """Build the model."""
        return self.make()

    def __repr__(self) -> str:
        return name_of(self.make)


@cites(1, "abstract: the landscape over gamma and the learning rate")
def sweep(
    make: Factory,
    gammas: Sequence[float] = GAMMAS,
    lrs: Sequence[float] | None = None,
    *,
    batches: Batches | None = None,
    base: int | Mapping[str, int] = 64,
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.SGD,
    steps: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    budgets: Sequence[int] | None = None,
    centre: bool = True,
    output: Entry | None = None,
    layers: int | None = None,
    name: str = "gamma",
    storage: str | Path = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> PhaseDiagram:
    """Map a model in the plane of richness and learning rate.

    The model's output, less its initial one, is divided by gamma, and every gamma is trained over learning rates and
    seeds, all of them as one batched program. Runs are those of `similitude.gamma_sweep`: with the same name and storage
    neither trains what the other has.

    Args:
        make: Function of the width (and further dials), or of nothing, that returns a model.
        gammas: Richnesses, at least two, in any order. The exponents of the law need two of at most 0.01 or of at least
            100.
        lrs: Learning rates to try at every gamma, in any order; None searches them from one range that is the same for
            all gammas, until the best and the largest stable rate are bracketed.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`: batches that are drawn anew at
            every step are online data, one that is always the same a fixed set. None takes the digits of scikit-learn,
            64 a batch.
        base: Size of the model, a width or a dict of dials; without effect where `make` takes nothing.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`.
        steps: Optimizer steps per run.
        seeds: Seeds; three or more give intervals.
        schedule: Multiplier of the learning rate by step.
        budgets: Numbers of steps after which gammas are compared as well; by default an eighth, a quarter, a half and all
            of the steps. Only with a constant rate, where a run that is cut off is a run of fewer steps.
        centre: Whether the model's initial output is taken off; not needed where its head starts at zero.
        output: Entry of the model's output that the loss reads, where it is neither a tensor nor has `logits`.
        layers: Number of weight layers on the longest path; read off a traced pass where None. Of models with norms or
            residual branches exponents are measured, and no law is claimed unless `layers` is given.
        name: Name of the study in its storage.
        storage: A folder, or an Optuna storage URL. Finished runs found there are not run again.
        engine: Where to run: `InProcess()` (default), `ProcessPool(workers=...)` or `RayEngine()`.
        on_progress: Called with a `Progress` whenever runs are finished.

    Returns:
        What every run did, stable and best rates with their exponents, the best gamma by the number of steps, and the
        collapse of loss curves on the rich side.

    Raises:
        GridError: The gammas, rates, seeds, steps or budgets are no grid of runs.
        PlanError: A gamma, the size or the number of layers is not one, or the optimizer has no family or takes
            matrices alone.
        FactoryError: `make` does not give a model of this size.
        StudyError: The storage cannot be used or holds another experiment under this name, training fails, or the
            centred output does not start at zero.

    Cost:
        As `similitude.gamma_sweep`; the curves are read back from the storage.
    """
    family = takes_width(make)
    experiment = GammaExperiment(
        name=name,
        make=make if family else OneSize(make),
        batches=_digits() if batches is None else batches,
        base=as_size(base if family else 1, "base"),
        gammas=tuple(gammas),
        lrs=None if lrs is None else tuple(lrs),
        loss=loss,
        optimizer=optimizer,
        steps=steps,
        seeds=tuple(seeds),
        schedule=schedule,
        centre=centre,
        output=output,
    )
    wanted = default_budgets(steps) if budgets is None else check_budgets(budgets, steps)
    counted = count_layers(experiment) if layers is None else layers
    found = run_gamma_sweep(experiment, storage, layers=counted, engine=engine, on_progress=on_progress)
    curves = training_curves(experiment, storage)
    return read_diagram(experiment, found, curves, untrained_curves(experiment), budgets=wanted)


def read_diagram(
    experiment: GammaExperiment,
    found: GammaSweep,
    curves: Curves,
    untrained: Mapping[tuple[float, int], np.ndarray],
    *,
    budgets: Sequence[int],
) -> PhaseDiagram:
    """Tell what every run of a finished sweep did.

    Args:
        experiment: What was run.
        found: What the sweep found.
        curves: Training losses of every cell of gamma, lr and seed.
        untrained: Losses of the untrained model on the same batches, by gamma and seed.
        budgets: Numbers of steps after which gammas are compared.
    """
    notes = []
    relative = {
        cell: over(losses, untrained[float(cell["gamma"]), int(cell["seed"])])
        for cell, losses in curves.items()
    }
    cells = tuple(cell for point in found.points for cell in _cells(point, relative, experiment.seeds))
    by_steps = ()
    if experiment.schedule is constant:
        by_steps = best_by_steps(found.points, curves, seeds=experiment.seeds, budgets=budgets)
    else:
        notes.append(
            "gammas are compared after all steps alone: under a schedule a run cut off is no shorter run"
        )
    try:
        collapsed = _collapsed(found, relative, experiment.seeds)
    except StudyError as error:
        collapsed = None
        notes.append(f"no collapse of curves: {error}")
    ends = tuple(end for point in found.points for end in _ends(point))
    return PhaseDiagram(found, cells, by_steps, collapsed, ends, tuple(notes))


def _digits() -> Batches:
    images = load("digits")
    assert isinstance(images, ImageSet), "digits are images"
    return ImageBatches(images)


def _cells(point: GammaPoint, relative: Curves, seeds: Sequence[int]) -> list[PhaseCell]:
    found = edges(point.curve, point.initial)
    reached = [min(row[i] for row in point.curve.losses) for i in range(len(seeds))]
    cells = []
    for lr, final in zip(point.curve.lrs, point.curve.losses, strict=True):
        told = [
            phase_of(
                relative[Cell.of(gamma=point.gamma, lr=lr, seed=seed)],
                initial=point.initial[i],
                final=final[i],
                lr=lr,
                edge=found[i],
                reached=reached[i],
            )
            for i, seed in enumerate(seeds)
        ]
        stairs = [stairs for _, stairs in told]
        levels = tuple(() if s is None else tuple(plateau.level for plateau in s.plateaus) for s in stairs)
        jumps = tuple(() if s is None else tuple(drop.time for drop in s.drops) for s in stairs)
        cells.append(PhaseCell(point.gamma, lr, tuple(phase for phase, _ in told), final, levels, jumps))
    return cells


def _ends(point: GammaPoint) -> list[OpenEnd]:
    smaller, larger = open_ends(point.curve, point.initial)
    low, high = point.curve.lrs[0], point.curve.lrs[-1]
    return [OpenEnd(point.gamma, "smaller", low)] * smaller + [OpenEnd(point.gamma, "larger", high)] * larger


def _collapsed(found: GammaSweep, relative: Curves, seeds: Sequence[int]) -> Collapse:
    """Collapse the curves of the rich side, at rates well below the edge of stability."""
    if found.layers is None:
        raise StudyError("it takes a plain stack of weight layers, whose number gives the unit of time")
    rich = [point for point in found.points if point.gamma >= RICH]
    if len(rich) < 2:
        raise StudyError(f"it takes two gammas of {RICH:g} or more")
    powers = {point.gamma: power_of(point.gamma, found.layers, found.family) for point in rich}
    edge = [
        lr * point.gamma ** -powers[point.gamma] for point in rich for lr in point.stable if lr is not None
    ]
    if not edge:
        raise StudyError("no largest stable rate is known on the rich side")
    unit = float(np.exp(np.mean(np.log(edge)))) / _BELOW_EDGE
    chosen, rates = {}, []
    for point in rich:
        wanted = unit * point.gamma ** powers[point.gamma]
        means = {}
        for lr, row in zip(point.curve.lrs, point.curve.losses, strict=True):
            half = all(final <= 0.5 * start for final, start in zip(row, point.initial, strict=True))
            if half and all(map(learned, row, point.initial)):
                means[lr] = abs(math.log(lr / wanted))
        if not means:
            continue
        lr = min(means, key=means.__getitem__)
        runs = [relative[Cell.of(gamma=point.gamma, lr=lr, seed=seed)] for seed in seeds]
        chosen[point.gamma] = np.stack(runs)
        rates.append(lr)
    if len(chosen) < 2:
        raise StudyError(
            "fewer than two gammas on the rich side lose half of their initial loss in these steps"
        )
    return collapse(chosen, rates, layers=found.layers, family=found.family)
