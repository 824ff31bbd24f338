"""The batched programs of a study: which cells train together, and how they are taken, trained and stored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from similitude.core.errors import SimilitudeError
from similitude.runs.engine import Engine, InProcess, JobsFailedError
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease
from similitude.runs.ledger import Ledger
from similitude.scaling.axes import build_shapes
from similitude.scaling.plan import Plan
from similitude.scaling.sizes import arguments
from similitude.studies.claimed import take_and_run
from similitude.studies.dials import dial_of
from similitude.studies.experiment import BASE, Experiment
from similitude.studies.probe import failure
from similitude.training.ensemble import Replica, stack_size, train_ensemble
from similitude.training.result import RunResult

_CALL_COST = 20_000  # parameters whose arithmetic takes about as long as the calls of one step


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        study: Its name.
        label: What is being run, e.g. "mup width 256" or "depth_mup depth 16".
        cells_done: Cells finished, those found included.
        cells: All cells.
        work_done: Share of the work of this run that is done, 0 to 1, counted in parameters times steps.
    """

    study: str
    label: str
    cells_done: int
    cells: int
    work_done: float


@dataclass(frozen=True)
class Job:
    """Runs of one rule and size that make one batched program; plain data, to go to another process.

    Attributes:
        plan: The plan of the size, or None at the base.
        cells: The runs, which differ in learning rate and seed.
        cost: The work, in parameters times runs.
    """

    plan: Plan | None
    cells: tuple[Cell, ...]
    cost: float

    def __str__(self) -> str:
        return f"{self.rule} {self.dial} {self.size}"

    def only(self, cells: tuple[Cell, ...]) -> Job:
        """Return the job of some of its cells."""
        return replace(self, cells=cells, cost=self.cost * len(cells) / len(self.cells))

    @property
    def rule(self) -> str:
        """The rule, or `BASE`."""
        return str(self.cells[0]["rule"])

    @property
    def dial(self) -> str:
        """The dial that changes in the study."""
        return dial_of(self.cells[0])

    @property
    def size(self) -> int:
        """Its value."""
        return int(self.cells[0][self.dial])


def run_job(
    experiment: Experiment, job: Job, on_step: Callable[[int, int], None] | None = None
) -> list[RunResult]:
    """Train the runs of one job, in the order of its cells.

    Raises:
        StudyError: The user's model, loss or batches raise; the text names them.
    """
    size = experiment.at(job.size)
    args, kwargs = arguments(experiment.make, size)
    try:
        return train_ensemble(
            functools.partial(experiment.make, *args, **kwargs),
            [Replica(seed=int(c["seed"]), lr=float(c["lr"])) for c in job.cells],
            batches=experiment.batches,
            loss=experiment.loss,
            steps=experiment.steps,
            optimizer=experiment.optimizer,
            plan=job.plan,
            schedule=experiment.schedule,
            on_step=on_step,
        )
    except SimilitudeError:
        raise
    except Exception as error:
        raise failure(experiment, size, error) from error


def jobs_of(
    experiment: Experiment, plans: Mapping[str, Mapping[int, Plan]], todo: Sequence[Cell]
) -> list[Job]:
    """Group cells into batched programs of one rule and size, each as large as `stack_size` allows.

    Args:
        experiment: What is run.
        plans: The plan of every rule and size.
        todo: The cells to train.
    """
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in todo:
        groups.setdefault((str(cell["rule"]), int(cell[experiment.dial])), []).append(cell)
    jobs = []
    for (rule, size), members in groups.items():
        model = build_shapes(experiment.make, experiment.at(size))
        runs = stack_size(model, len(members))
        cost = sum(p.numel() for p in model.parameters()) + _CALL_COST
        # At the base only knobs change anything, and they are the same under every rule.
        named = list(experiment.compared())[-1] if rule == BASE and experiment.knobs else rule
        made = None if named == BASE else plans[named][size]
        for start in range(0, len(members), runs):
            part = tuple(members[start : start + runs])
            jobs.append(Job(made, part, float(cost * len(part))))
    return jobs


class Meter:
    """Count work as it is done, and report it.

    Args:
        experiment: What is run.
        jobs: All jobs of this run.
        found: Cells that were finished before.
        cells: All cells.
        on_progress: Called with every change.
    """

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

    def begin(self) -> None:
        """Note that the work begins."""
        self._tell("starting", 0.0)

    def step(self, job: Job, step: int, runs: int) -> None:
        """Note that the runs of a job have made a step, counted from 0."""
        self._tell(str(job), self._done + job.cost * (step + 1) / self._steps)

    def finished(self, job: Job) -> None:
        """Note that the cells of a job are stored."""
        self._done += job.cost
        self._cells_done += len(job.cells)
        self._tell(str(job), self._done)

    def _tell(self, label: str, done: float) -> None:
        if self._report is not None:
            share = done / self._total if self._total else 1.0
            self._report(Progress(self._name, label, self._cells_done, self._cells, share))


def work(ledger: Ledger, experiment: Experiment, jobs: Sequence[Job], engine: Engine, meter: Meter) -> None:
    """Take, compute and store jobs: one at a time in this process, all at once for other engines.

    Args:
        ledger: The study; its cells are waiting.
        experiment: What is run.
        jobs: What to compute; cells that another process has taken are left to it.
        engine: Where to compute.
        meter: Is told of what is done.

    Raises:
        StudyError: Training failed, or a result cannot be stored; cells that are not finished wait again.
    """

    def store(lease: Lease, run: RunResult) -> None:
        curve = pl.DataFrame({"step": range(len(run.losses)), "loss": run.losses})
        ledger.finish(lease, run.final, curve=curve)

    if jobs:
        meter.begin()
    if isinstance(engine, InProcess):
        for job in jobs:
            train = functools.partial(run_job, experiment, on_step=functools.partial(meter.step, job))
            try:
                take_and_run(ledger, [job], engine, train, store=store, on_done=meter.finished)
            except JobsFailedError as error:
                raise error.__cause__ or error from None  # of one job, its own error says it all
    else:
        # The longest first, so that no worker is left with one at the end.
        ordered = sorted(jobs, key=lambda job: job.cost, reverse=True)
        train = functools.partial(run_job, experiment)
        take_and_run(ledger, ordered, engine, train, store=store, on_done=meter.finished)
