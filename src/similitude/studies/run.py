"""Run a transfer study: every cell once, stacked by width, kept in a ledger that survives interruption."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import nn

from similitude.core.citation import cites
from similitude.core.seeding import seeded
from similitude.data.batches import Batches
from similitude.runs.engine import Engine, InProcess
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease
from similitude.runs.ledger import Ledger
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan, plan
from similitude.studies.experiment import BASE, Experiment
from similitude.studies.read import PLANS, assemble
from similitude.studies.records import TransferStudy
from similitude.training.ensemble import Replica, stack_size, train_ensemble
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, constant

DEFAULT_FOLDER = Path("similitude-runs")


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        study: Its name.
        label: What is being run, e.g. "mup width 256".
        cells_done: Cells finished, those found included.
        cells: All cells.
        work_done: Share of the work of this run that is done, 0 to 1; work is counted in parameters times steps.
    """

    study: str
    label: str
    cells_done: int
    cells: int
    work_done: float


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
    make: Callable[[int], nn.Module],
    batches: Batches,
    *,
    widths: Sequence[int],
    lrs: Sequence[float],
    rules: Sequence[str] = ("sp", "mup"),
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.Adam,
    steps: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    name: str = "study",
    storage: str | Path = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> TransferStudy:
    """Sweep the learning rate at several widths under several rules, and say whether the optimum transfers.

    Args:
        make: Function of the width that returns a model; importable from a module where processes are used.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`; see
            `similitude.data.ImageBatches` and `TextBatches`.
        widths: Widths to train, the smallest being the base of every plan.
        lrs: Learning rates to try at every width; the optimum must lie inside.
        rules: Parametrizations to compare, of "sp", "mup" and "ntp".
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`.
        steps: Optimizer steps per run.
        seeds: Seeds; three or more give an interval.
        schedule: Multiplier of the learning rate by step.
        name: Name of the study in its storage.
        storage: A folder, or an Optuna storage URL. Finished cells found there are not run again.
        engine: Where to run: `InProcess()` (default) or `ProcessPool(workers=...)`.
        on_progress: Called often with a `Progress`.

    Returns:
        Optimum per width, shift and verdict per rule.

    Raises:
        GridError: The grid cannot answer the question.
        StudyError: The storage cannot be used, or holds another experiment under this name.
        StudyInterrupted: Ctrl-C; carries the study as far as it came.

    Cost:
        rules x widths x lrs x seeds runs of `steps` steps; runs of one width share batched programs.
    """
    experiment = Experiment(
        name=name,
        make=make,
        batches=batches,
        widths=tuple(widths),
        lrs=tuple(lrs),
        rules=tuple(rules),
        loss=loss,
        optimizer=optimizer,
        steps=steps,
        seeds=tuple(seeds),
        schedule=schedule,
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
    plans = plan_all(experiment)
    ledger = Ledger.open(storage, experiment.name, fingerprint=experiment.fingerprint())
    grid = experiment.grid()
    store_plans(ledger, {rule: by_width[experiment.widths[-1]] for rule, by_width in plans.items()})
    ledger.recover()
    ledger.populate(grid)
    before = set(ledger.finished()) & set(grid)
    jobs = _jobs(experiment, plans, [c for c in grid if c not in before])
    meter = _Meter(experiment, jobs, len(before), len(grid), on_progress)
    try:
        _work(ledger, jobs, engine or InProcess(), meter)
    except KeyboardInterrupt as error:
        study = assemble(ledger, experiment.rules, grid=grid, found=len(before), seconds=time.perf_counter() - started)
        raise StudyInterrupted(study) from error
    return assemble(ledger, experiment.rules, grid=grid, found=len(before), seconds=time.perf_counter() - started)


def plan_all(experiment: Experiment) -> dict[str, dict[int, Plan]]:
    """Plan every width of an experiment under each of its rules, from its base.

    Raises:
        PlanError: A tensor's role cannot be told under a rule that needs it.
    """
    plans: dict[str, dict[int, Plan]] = {}
    for rule in experiment.rules:
        plans[rule] = {}
        for width in experiment.widths:
            made = plan(
                experiment.make,
                base=experiment.base,
                target=width,
                optimizer=experiment.optimizer,
                rule=rule,
            )
            made.raise_if_bad()
            plans[rule][width] = made
    return plans


def store_plans(ledger: Ledger, plans: Mapping[str, Plan]) -> None:
    """Keep the plans to the largest width beside the cells, for reports that are written later."""
    given = json.loads(json.dumps({rule: made.to_dict() for rule, made in plans.items()}))
    with ledger.batch():
        stored = json.loads(ledger.study.user_attrs.get(PLANS, "{}"))
        if {**stored, **given} != stored:
            ledger.study.set_user_attr(PLANS, json.dumps({**stored, **given}))


@dataclass(frozen=True)
class Job:
    """Runs of one rule and width that make one batched program; plain data, so that it can go to another process."""

    experiment: Experiment
    plan: Plan | None
    cells: tuple[Cell, ...]
    cost: float

    def __str__(self) -> str:
        return f"{self.rule} width {self.width}"

    @property
    def rule(self) -> str:
        """The rule, or `BASE`."""
        return str(self.cells[0]["rule"])

    @property
    def width(self) -> int:
        """The width."""
        return int(self.cells[0]["width"])


def run_job(job: Job, on_step: Callable[[int, int], None] | None = None) -> list[RunResult]:
    """Train the runs of one job, in the order of its cells."""
    experiment = job.experiment
    return train_ensemble(
        functools.partial(experiment.make, job.width),
        [Replica(seed=int(c["seed"]), lr=float(c["lr"])) for c in job.cells],
        batches=experiment.batches,
        loss=experiment.loss,
        steps=experiment.steps,
        optimizer=experiment.optimizer,
        plan=job.plan,
        schedule=experiment.schedule,
        stack=len(job.cells),
        on_step=on_step,
    )


def _jobs(experiment: Experiment, plans: Mapping[str, Mapping[int, Plan]], todo: Sequence[Cell]) -> list[Job]:
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in todo:
        groups.setdefault((str(cell["rule"]), int(cell["width"])), []).append(cell)
    jobs = []
    for (rule, width), members in groups.items():
        with seeded(0):
            model = experiment.make(width)
        size = stack_size(model, len(members))
        work = sum(p.numel() for p in model.parameters()) + 20_000  # the constant: calls cost time at any size
        made = None if rule == BASE else plans[rule][width]
        for start in range(0, len(members), size):
            part = tuple(members[start : start + size])
            jobs.append(Job(experiment, made, part, float(work * len(part))))
    return jobs


class _Meter:
    """Counts work as it is done and reports it."""

    def __init__(
        self,
        experiment: Experiment,
        jobs: Sequence[Job],
        found: int,
        cells: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._name, self._steps = experiment.name, experiment.steps
        self._total = sum(job.cost for job in jobs)
        self._done, self._cells_done, self._cells = 0.0, found, cells
        self._report = on_progress

    def step(self, job: Job, step: int) -> None:
        self._tell(str(job), self._done + job.cost * (step + 1) / self._steps)

    def finished(self, job: Job, cells: int) -> None:
        self._done += job.cost
        self._cells_done += cells
        self._tell(str(job), self._done)

    def _tell(self, label: str, done: float) -> None:
        if self._report is not None:
            share = done / self._total if self._total else 1.0
            self._report(Progress(self._name, label, self._cells_done, self._cells, share))


def _work(ledger: Ledger, jobs: Sequence[Job], engine: Engine, meter: _Meter) -> None:
    """Take, compute and store jobs: one at a time in this process, all at once for other engines."""
    if isinstance(engine, InProcess):
        for job in jobs:
            _take_and_run(ledger, [job], engine, meter)
    elif jobs:
        _take_and_run(ledger, jobs, engine, meter)


def _take_and_run(ledger: Ledger, jobs: Sequence[Job], engine: Engine, meter: _Meter) -> None:
    held: dict[Cell, Lease] = {}
    taken = []
    for job in jobs:
        leases = ledger.claim(job.cells)
        held.update({lease.cell: lease for lease in leases})
        mine = tuple(c for c in job.cells if c in held)  # another process may have some of them
        if mine:
            share = job.cost * len(mine) / len(job.cells)
            taken.append(Job(job.experiment, job.plan, mine, share))

    def store(job: Job, results: list[RunResult]) -> None:
        with ledger.batch():
            for cell, result in zip(job.cells, results, strict=True):
                curve = pl.DataFrame({"step": range(len(result.losses)), "loss": result.losses})
                ledger.finish(held.pop(cell), result.final, curve=curve)
        meter.finished(job, len(job.cells))

    try:
        with ledger.keep(list(held.values())):
            if isinstance(engine, InProcess):
                for job in taken:
                    engine.map(
                        functools.partial(run_job, on_step=lambda step, _, job=job: meter.step(job, step)),
                        [job],
                        on_done=store,
                        name=str,
                    )
            else:
                engine.map(run_job, taken, on_done=store, name=str)
    finally:
        if held:
            with ledger.batch():
                for lease in held.values():
                    ledger.release(lease)
