"""Run a transfer study: every cell once, stacked by size, kept in a ledger that survives interruption."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from similitude.core.citation import cites
from similitude.data.batches import Batches
from similitude.runs.engine import Engine, InProcess
from similitude.runs.ledger import Ledger
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan
from similitude.scaling.sizes import Factory, Size
from similitude.studies.experiment import Experiment, planner_of
from similitude.studies.jobs import Meter, Progress, jobs_of, work
from similitude.studies.probe import probe
from similitude.studies.read import PLANS, assemble
from similitude.studies.records import TransferStudy
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

DEFAULT_FOLDER = Path("similitude-runs")


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C during a study. What was finished is stored, and is in `study`.

    Attributes:
        study: The study as far as it came.
    """

    def __init__(self, study: TransferStudy) -> None:
        super().__init__(f"study '{study.name}' was interrupted with {study.cells_missing} cells missing")
        self.study = study


@cites(17, "Sections 4 and 5, Figure 1")
def transfer(
    make: Factory,
    batches: Batches,
    *,
    lrs: Sequence[float],
    widths: Sequence[int] = (),
    depths: Sequence[int] = (),
    base: int | Size | None = None,
    rules: Sequence[str] | None = None,
    depth_rule: DepthRule | Sequence[DepthRule] | None = None,
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.Adam,
    steps: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    weight_decay: str = "independent",
    name: str = "study",
    storage: str | Path = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> TransferStudy:
    """Sweep the learning rate at several widths or depths under several rules, and say whether the optimum transfers.

    Args:
        make: Function of the width, or of the width and the depth, that returns a model; importable from a module where
            processes are used.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`; see
            `similitude.data.ImageBatches` and `TextBatches`.
        lrs: Learning rates to try at every size; the optimum must lie inside.
        widths: Widths to train, the smallest being the base of every plan.
        depths: Depths to train, in place of widths.
        base: Dials that stay as they are: the width where the depth changes, as an integer or `{"width": 128}`; the
            depth where `make` takes one and the width changes, `{"depth": 6}`.
        rules: Parametrizations to compare over widths, "sp" and "mup" by default; all are in
            `similitude.scaling.rules.RULES`.
        depth_rule: Depth rule over depths, or several to compare, e.g. `("sp", "depth_mup")`; see `similitude.plan`.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`.
        steps: Optimizer steps per run.
        seeds: Seeds; three or more give an interval.
        schedule: Multiplier of the learning rate by step.
        roles: Roles of tensors that the traced pass cannot tell, by name or glob, e.g. `{"pos": "input"}`.
        knobs: Multipliers of the base by role, at every size; see `similitude.scaling.knobs`.
        weight_decay: "independent" or "decoupled" of the learning rate's factors; see `similitude.plan`.
        name: Name of the study in its storage.
        storage: A folder, or an Optuna storage URL. Finished cells found there are not run again.
        engine: Where to run: `InProcess()` (default), `ProcessPool(workers=...)` or `RayEngine()`.
        on_progress: Called often with a `Progress`.

    Returns:
        Optimum per size, shift and verdict per rule: by parametrization over widths, by depth rule over depths.

    Raises:
        GridError: The grid cannot answer the question.
        FactoryError: `make` does not give a model of each size.
        PlanError: The sizes cannot be planned, or a tensor's role cannot be told; nothing is trained then.
        StudyError: The storage cannot be used or holds another experiment under this name, or training fails.
        StudyInterrupted: Ctrl-C; carries the study as far as it came.

    Cost:
        rules x sizes x lrs x seeds runs of `steps` steps; runs of one size share batched programs.
    """
    experiment = Experiment(
        name=name,
        make=make,
        batches=batches,
        lrs=tuple(lrs),
        widths=tuple(widths),
        depths=tuple(depths),
        base=base,
        rules=(rules,) if isinstance(rules, str) else None if rules is None else tuple(rules),
        depth_rule=depth_rule,
        loss=loss,
        optimizer=optimizer,
        steps=steps,
        seeds=tuple(seeds),
        schedule=schedule,
        roles=roles,
        knobs=knobs,
        weight_decay=weight_decay,
    )
    return run(experiment, storage, engine=engine, on_progress=on_progress)


def run(
    experiment: Experiment,
    storage: str | Path = DEFAULT_FOLDER,
    *,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> TransferStudy:
    """Run an `Experiment`; see `transfer`."""
    started = time.perf_counter()
    probe(experiment)
    plans = plan_all(experiment)
    ledger = Ledger.open(storage, experiment.name, fingerprint=experiment.fingerprint())
    grid = experiment.grid()
    store_plans(ledger, {rule: by_size[experiment.sizes[-1]] for rule, by_size in plans.items()})
    ledger.recover()
    ledger.populate(grid)
    before = set(ledger.finished()) & set(grid)
    jobs = jobs_of(experiment, plans, [c for c in grid if c not in before])
    meter = Meter(experiment, jobs, len(before), len(grid), on_progress)

    def study() -> TransferStudy:
        seconds = time.perf_counter() - started
        return assemble(ledger, list(experiment.compared()), grid=grid, found=len(before), seconds=seconds)

    try:
        work(ledger, experiment, jobs, engine or InProcess(), meter)
    except KeyboardInterrupt as error:
        raise StudyInterrupted(study()) from error
    return study()


def plan_all(experiment: Experiment) -> dict[str, dict[int, Plan]]:
    """Plan every size of an experiment under each of its rules, from its base.

    Raises:
        PlanError: A tensor's role cannot be told under a rule that needs it.
    """
    return experiment.planned(planner_of(experiment))


def store_plans(ledger: Ledger, plans: Mapping[str, Plan]) -> None:
    """Keep the plans to the largest size beside the cells, for reports that are written later."""
    given = json.loads(json.dumps({rule: made.to_dict() for rule, made in plans.items()}))
    with ledger.batch():
        stored = json.loads(ledger.study.user_attrs.get(PLANS, "{}"))
        if {**stored, **given} != stored:
            ledger.study.set_user_attr(PLANS, json.dumps({**stored, **given}))
