"""The runs of a study of Super Consistency: what each costs, and how they are taken, trained and stored."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from similitude.core.errors import SimilitudeError
from similitude.runs.engine import Engine, InProcess, JobsFailedError
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease
from similitude.runs.ledger import Ledger
from similitude.scaling.axes import build_shapes
from similitude.scaling.plan import Plan
from similitude.studies.claimed import take_and_run
from similitude.studies.consistency_experiment import ConsistencyExperiment
from similitude.studies.consistency_measure import MeasuredRun, measured_run
from similitude.studies.dials import dial_of
from similitude.studies.experiment import BASE
from similitude.studies.jobs import Progress
from similitude.studies.probe import failure

_MEASURE_COST = 4.0  # gradients per measurement of the sharpness, in the estimate of the time left


@dataclass(frozen=True)
class ConsistencyJob:
    """One run; plain data, to go to another process.

    Attributes:
        plan: The plan of its size under its rule.
        cells: The one cell.
        cost: The work, in parameters times passes.
    """

    plan: Plan
    cells: tuple[Cell, ...]
    cost: float

    def only(self, cells: tuple[Cell, ...]) -> ConsistencyJob:
        """Return the job of some of its cells, which is itself."""
        assert cells == self.cells
        return self

    def __str__(self) -> str:
        cell = self.cells[0]
        dial = dial_of(cell)
        return f"{cell['rule']} {dial} {cell[dial]}" + ("" if cell["every"] else ", other learning rates")


def jobs_of(
    experiment: ConsistencyExperiment, plans: Mapping[str, Mapping[int, Plan]], todo: Sequence[Cell]
) -> list[ConsistencyJob]:
    """Make the job of every cell.

    Args:
        experiment: What is run.
        plans: The plan of every rule and size.
        todo: The cells to train.
    """
    jobs = []
    first = next(iter(plans))
    for cell in todo:
        size = int(cell[experiment.dial])
        plan = plans[first if cell["rule"] == BASE else cell["rule"]][size]
        entries = sum(p.numel() for p in build_shapes(experiment.make, experiment.at(size)).parameters())
        measured = _MEASURE_COST / cell["every"] if cell["every"] else 0.0
        jobs.append(ConsistencyJob(plan, (cell,), (entries + 20_000) * experiment.steps * (1 + measured)))
    return jobs


def work(
    ledger: Ledger,
    experiment: ConsistencyExperiment,
    jobs: Sequence[ConsistencyJob],
    engine: Engine,
    found: int,
    cells: int,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Take, train and store the runs: one at a time in this process, the longest first on other engines.

    Args:
        ledger: The study; its cells are waiting.
        experiment: What is run.
        jobs: What to compute.
        engine: Where to compute.
        found: Cells that were finished before.
        cells: All cells.
        on_progress: Told of what is done.

    Raises:
        StudyError: Training failed, or a result cannot be stored; cells that are not finished wait again.
    """
    total, done, finished = sum(job.cost for job in jobs), 0.0, found

    def tell(job: ConsistencyJob, work: float) -> None:
        if on_progress is not None:
            on_progress(Progress(experiment.name, str(job), finished, cells, work / total))

    def step(job: ConsistencyJob, steps: int) -> None:
        tell(job, done + job.cost * steps / experiment.steps)

    def over(job: ConsistencyJob) -> None:
        nonlocal done, finished
        done += job.cost
        finished += 1
        tell(job, done)

    def store(lease: Lease, run: MeasuredRun) -> None:
        if run.rows:
            names = list(dict.fromkeys(name for row in run.rows for name in row))
            curve = pl.DataFrame({n: [float(row.get(n, math.nan)) for row in run.rows] for n in names})
        else:
            curve = pl.DataFrame({"step": range(len(run.result.losses)), "loss": run.result.losses})
        ledger.finish(lease, run.result.final, curve=curve)

    try:
        if isinstance(engine, InProcess):
            train = functools.partial(train_job, experiment, on_step=step)
            for job in jobs:
                take_and_run(ledger, [job], engine, train, store=store, on_done=over)
        else:
            ordered = sorted(jobs, key=lambda job: job.cost, reverse=True)
            train = functools.partial(train_job, experiment)
            take_and_run(ledger, ordered, engine, train, store=store, on_done=over)
    except JobsFailedError as error:
        raise error.__cause__ or error from None


def train_job(
    experiment: ConsistencyExperiment,
    job: ConsistencyJob,
    on_step: Callable[[ConsistencyJob, int], None] | None = None,
) -> list[MeasuredRun]:
    """Train and measure the run of one job.

    Raises:
        StudyError: The user's model, loss or batches raise; the text names them.
    """
    (cell,) = job.cells
    try:
        tell = None if on_step is None else functools.partial(on_step, job)
        return [measured_run(experiment, cell, job.plan, tell)]
    except SimilitudeError:
        raise
    except Exception as error:
        raise failure(experiment, experiment.at(int(cell[experiment.dial])), error) from error
