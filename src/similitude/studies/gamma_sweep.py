"""Sweep the richness gamma and the learning rate of one model: stable rates, their exponents, the best gamma."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from similitude.core.citation import cites
from similitude.core.errors import SimilitudeError, StudyError
from similitude.data.batches import Batches
from similitude.runs.engine import Engine, InProcess, JobsFailedError, one_line
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease
from similitude.runs.ledger import Ledger
from similitude.runs.records import Result
from similitude.scaling.axes import build, build_shapes
from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.passes import call_of
from similitude.scaling.dataflow.residual import residuals
from similitude.scaling.dataflow.trace import trace
from similitude.scaling.notes import beside_layers
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.output_folds import weight_layers
from similitude.scaling.outputs import Entry
from similitude.scaling.richness import power_of
from similitude.scaling.sizes import Factory, as_size
from similitude.studies.claimed import take_and_run
from similitude.studies.gamma_experiment import GammaExperiment
from similitude.studies.gamma_exponents import best_gamma, exponents, judge_law
from similitude.studies.gamma_records import GammaPoint, GammaSweep
from similitude.studies.gamma_start import check_start, untrained
from similitude.studies.jobs import Progress
from similitude.studies.names import name_of
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve
from similitude.studies.run import DEFAULT_FOLDER
from similitude.studies.stable_rates import edges, next_rates
from similitude.training.ensemble import Replica, stack_size, train_ensemble
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, constant

GAMMAS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
INITIAL = "initial"


@dataclass(frozen=True)
class GammaJob:
    """Runs of one richness that make one batched program; plain data, to go to another process."""

    gamma: float
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return f"gamma {self.gamma:g}, {len(self.cells)} runs"

    def only(self, cells: tuple[Cell, ...]) -> GammaJob:
        """Return the job of some of its cells."""
        return replace(self, cells=cells)


@cites(1, "Section 3: sweeps over gamma and the learning rate")
def gamma_sweep(
    make: Factory,
    batches: Batches,
    *,
    base: int | Mapping[str, int],
    gammas: Sequence[float] = GAMMAS,
    lrs: Sequence[float] | None = None,
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.SGD,
    steps: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    centre: bool = True,
    output: Entry | None = None,
    layers: int | None = None,
    name: str = "gamma",
    storage: str | Path = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> GammaSweep:
    """Sweep gamma and the learning rate at one size and one amount of training.

    The model's output, less its initial one, is divided by gamma, and every gamma is trained over a range of learning
    rates that knows nothing of the law: it begins around 1 and grows until the best and the largest stable rate lie
    inside. Rates are those that the user's optimizer takes, not divided by any law.

    Args:
        make: Function of the width (and further dials) that returns a model.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`.
        base: Size of the model: a width, or a dict of dials.
        gammas: Richnesses. The exponents of the law need two of at most 0.01 or of at least 100.
        lrs: Learning rates to try at every gamma, in place of the search.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`.
        steps: Optimizer steps per run: the compute at which gammas are compared.
        seeds: Seeds; three or more give intervals.
        schedule: Multiplier of the learning rate by step.
        centre: Whether the model's initial output is taken off; not needed where its head starts at zero.
        output: Entry of the model's output that the loss reads, where it is neither a tensor nor has `logits`.
        layers: Number of weight layers on the longest path; read off a traced pass where None. Of models with norms or
            residual branches exponents are measured, and held against the law only where `layers` is given.
        name: Name of the study in its storage.
        storage: A folder, or an Optuna storage URL. Finished runs found there are not run again.
        engine: Where to run: `InProcess()` (default), `ProcessPool(workers=...)` or `RayEngine()`.
        on_progress: Called with a `Progress` whenever runs are finished.

    Returns:
        Rates and losses by gamma, exponents on both sides against the law, and the best gamma with its interval.

    Raises:
        GridError: The gammas, rates, seeds or steps are no grid of runs.
        PlanError: A gamma, the size or the number of layers is not one, or the optimizer has no family or takes
            matrices alone.
        FactoryError: `make` does not give a model of this size.
        StudyError: The storage cannot be used or holds another experiment under this name, or training fails.

    Cost:
        About 25 runs of `steps` steps per gamma and seed, as batched programs; two forward passes per step where
        centred.
    """
    experiment = GammaExperiment(
        name=name,
        make=make,
        batches=batches,
        base=as_size(base, "base"),
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
    counted = count_layers(experiment) if layers is None else layers
    return run_gamma_sweep(experiment, storage, layers=counted, engine=engine, on_progress=on_progress)


def run_gamma_sweep(
    experiment: GammaExperiment,
    storage: str | Path = DEFAULT_FOLDER,
    *,
    layers: int | None = None,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> GammaSweep:
    """Run a `GammaExperiment`; see `gamma_sweep`."""
    family = resolve(experiment.optimizer).family
    if layers is not None:
        power_of(2.0, layers, family)  # says what is wrong with the number before anything is trained
    check_start(experiment)
    started = time.perf_counter()
    ledger = Ledger.open(storage, experiment.name, fingerprint=experiment.fingerprint())
    ledger.recover()
    before = len(_mine(experiment, ledger.finished()))
    while todo := _wanted(experiment, ledger.finished()):
        ledger.populate(todo)
        done = len(_mine(experiment, ledger.finished()))
        _work(ledger, experiment, _jobs(experiment, todo), engine or InProcess(), done, on_progress)
        if missing := [cell for cell in todo if cell not in ledger.finished()]:
            raise StudyError(
                f"{len(missing)} runs of {experiment.name!r} are with another process, and what to try next depends on "
                "them. Run the same again once that process has ended; finished runs are kept."
            )
    results = _mine(experiment, ledger.finished())
    points = tuple(_point(experiment, gamma, results) for gamma in experiment.gammas)
    fitted = exponents(points, layers=layers, family=family)
    return GammaSweep(
        name=experiment.name,
        points=points,
        exponents=fitted,
        best=best_gamma(points),
        law=judge_law(fitted, family),
        layers=layers,
        family=family,
        settings={**ledger.fingerprint, "seeds": len(experiment.seeds)},
        cells_found=before,
        cells_run=len(results) - before,
        seconds=time.perf_counter() - started,
    )


def count_layers(experiment: GammaExperiment) -> int | None:
    """Count the weight layers on the longest path through a model that is a plain stack of them.

    Returns:
        None where its pass cannot be followed, or where it has norms or residual branches, for which no law is claimed.
    """
    sample, seed = experiment.batches.batch(experiment.seeds[0], 0), experiment.seeds[0]
    model = build(experiment.make, experiment.base, seed=seed)
    try:
        flow = analyse(trace(model, call_of(sample, experiment.loss), inputs=sample, seed=seed))
    except Exception:  # of the user's own code; where training fails too, that says what is wrong
        return None
    return None if beside_layers(flow, residuals(flow)) else weight_layers(flow) or None


def training_curves(
    experiment: GammaExperiment, storage: str | Path = DEFAULT_FOLDER
) -> dict[Cell, np.ndarray]:
    """Read the training losses of the finished runs of a sweep.

    Args:
        experiment: What was run.
        storage: Where, as `gamma_sweep` takes it.

    Returns:
        By cell of gamma, lr and seed the loss before each step, shape (steps,); nan from where a run diverged.

    Raises:
        StudyError: The storage has another experiment under this name, or a curve is not there.
    """
    ledger = Ledger.open(storage, experiment.name, fingerprint=experiment.fingerprint())
    return {cell: ledger.curve(cell)["loss"].to_numpy() for cell in _mine(experiment, ledger.finished())}


def train_job(experiment: GammaExperiment, job: GammaJob) -> list[tuple[RunResult, float]]:
    """Train the runs of one job.

    Returns:
        In the order of the job's cells the run, and the loss of its untrained model (`untrained`).

    Raises:
        StudyError: The user's model, loss or batches raise; the text names them.
    """
    try:
        runs = train_ensemble(
            functools.partial(experiment.model, job.gamma),
            [Replica(seed=int(c["seed"]), lr=float(c["lr"])) for c in job.cells],
            batches=experiment.batches_at(job.gamma),
            loss=experiment.loss,
            steps=experiment.steps,
            optimizer=experiment.optimizer,
            schedule=experiment.schedule,
        )
        seeds = {int(c["seed"]) for c in job.cells}
        initial = {seed: untrained(experiment, job.gamma, seed) for seed in seeds}
        return [(run, initial[int(c["seed"])]) for run, c in zip(runs, job.cells, strict=True)]
    except SimilitudeError:
        raise
    except Exception as error:
        raise StudyError(
            f"training '{name_of(experiment.make)}' at gamma {job.gamma:g} on {type(experiment.batches).__name__} with "
            f"the loss '{name_of(experiment.loss)}' failed: {one_line(error).rstrip('.')}. Finished runs are kept. "
            "Check that loss(make(width), batches.batch(0, 0)) gives one number, then run the same again."
        ) from error


def _mine(experiment: GammaExperiment, results: Mapping[Cell, Result]) -> dict[Cell, Result]:
    """Keep the results that belong to this grid: other gammas and seeds of the same study are left out."""
    return {
        cell: result
        for cell, result in results.items()
        if cell["gamma"] in experiment.gammas
        and cell["seed"] in experiment.seeds
        and (experiment.lrs is None or cell["lr"] in experiment.lrs)
    }


def _curve(
    experiment: GammaExperiment, gamma: float, results: Mapping[Cell, Result]
) -> tuple[Curve, tuple[float, ...]]:
    """Collect the losses of one gamma at the rates that every seed has run, and the initial losses by seed."""
    at = {(c["lr"], c["seed"]): result for c, result in results.items() if c["gamma"] == gamma}
    lrs = sorted({lr for lr, _ in at if all((lr, seed) in at for seed in experiment.seeds)})
    losses = tuple(tuple(at[lr, seed].value for seed in experiment.seeds) for lr in lrs)
    initial = tuple(at[lrs[0], seed].metrics[INITIAL] for seed in experiment.seeds) if lrs else ()
    return Curve(experiment.width, tuple(lrs), losses), initial


def _wanted(experiment: GammaExperiment, results: Mapping[Cell, Result]) -> list[Cell]:
    """Return the cells to run next: what the user's rates or the search ask for, and is not finished."""
    wanted = []
    for gamma in experiment.gammas:
        rates = experiment.lrs
        if rates is None:
            rates = next_rates(*_curve(experiment, gamma, results))
        wanted += [Cell.of(gamma=gamma, lr=lr, seed=seed) for lr in rates for seed in experiment.seeds]
    return [cell for cell in wanted if cell not in results]


def _jobs(experiment: GammaExperiment, todo: Sequence[Cell]) -> list[GammaJob]:
    model = build_shapes(experiment.make, experiment.base)
    jobs = []
    for gamma in experiment.gammas:
        cells = [cell for cell in todo if cell["gamma"] == gamma]
        size = stack_size(model, max(1, len(cells)))
        jobs += [GammaJob(gamma, tuple(cells[i : i + size])) for i in range(0, len(cells), size)]
    return jobs


def _work(
    ledger: Ledger,
    experiment: GammaExperiment,
    jobs: Sequence[GammaJob],
    engine: Engine,
    done: int,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Take, train and store the cells of one round; those that another process has are left to it."""
    total, finished = sum(len(job.cells) for job in jobs), 0

    def store(lease: Lease, result: tuple[RunResult, float]) -> None:
        run, initial = result
        curve = pl.DataFrame({"step": range(len(run.losses)), "loss": run.losses})
        ledger.finish(lease, run.final, metrics={INITIAL: initial}, curve=curve)

    def tell(job: GammaJob) -> None:
        nonlocal finished
        finished += len(job.cells)
        if on_progress is not None:
            on_progress(Progress(experiment.name, str(job), done + finished, done + total, finished / total))

    try:
        train = functools.partial(train_job, experiment)
        take_and_run(ledger, jobs, engine, train, store=store, on_done=tell)
    except JobsFailedError as error:
        raise error.__cause__ or error from None


def _point(experiment: GammaExperiment, gamma: float, results: Mapping[Cell, Result]) -> GammaPoint:
    curve, initial = _curve(experiment, gamma, results)
    stable = tuple(edge.stable if edge.unstable is not None else None for edge in edges(curve, initial))
    return GammaPoint(gamma, curve, initial, optimum(curve), stable)
