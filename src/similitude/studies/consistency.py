"""Run a study of Super Consistency: every size under every rule, trained alike, its sharpness measured on the way."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from similitude.core.citation import cites
from similitude.core.errors import StudyError
from similitude.data.batches import Batches
from similitude.runs.engine import Engine, InProcess, JobsFailedError
from similitude.runs.grid import Cell
from similitude.runs.ledger import Ledger
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.outputs import Entry
from similitude.scaling.plan import Plan
from similitude.scaling.sizes import Factory, Size
from similitude.studies.consistency_experiment import ConsistencyExperiment
from similitude.studies.consistency_jobs import ConsistencyJob, jobs_of, train_job, work
from similitude.studies.consistency_judged import judged
from similitude.studies.consistency_rate import Rate, find_rate
from similitude.studies.consistency_records import Consistency, SizeCurves
from similitude.studies.experiment import BASE
from similitude.studies.grid_checks import check_rates
from similitude.studies.jobs import Progress
from similitude.studies.probe import probe
from similitude.studies.read import curves_of
from similitude.studies.run import DEFAULT_FOLDER
from similitude.studies.shift import transfer as judge_transfer
from similitude.studies.windows import FRACTIONS, windows_of
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, constant

RATE = "similitude:consistency:rate"
TRANSFER_OCTAVES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Learning rates of the transfer beside a study, in octaves from the rate that is measured."""


@cites(2, "Section 3, Figures 1 and 2")
def consistency(
    make: Factory,
    batches: Batches,
    *,
    widths: Sequence[int] = (),
    depths: Sequence[int] = (),
    base: int | Size | None = None,
    rules: Sequence[str] | None = None,
    depth_rule: DepthRule | Sequence[DepthRule] | None = None,
    lr: float | None = None,
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.SGD,
    steps: int = 300,
    every: int = 10,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    full_batch: bool = True,
    probe: Any = None,
    centre: bool = True,
    output: Entry | None = None,
    top: int = 5,
    windows: Sequence[tuple[float, float]] = FRACTIONS,
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    transfer: bool | Sequence[float] = False,
    name: str = "consistency",
    storage: str | Path = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Consistency:
    """Train several sizes under several rules, and say whether their sharpness is the same all along training.

    Under a rule with Super Consistency learning rate times sharpness follows one curve at every size, although the loss
    does not; where it depends on the size, so will the best learning rate. Rules agree at the smallest size, from which
    all plans start. Runs of one seed see the same batches.

    Args:
        make: Function of the width, or of the width and the depth, that returns a model; importable from a module where
            processes are used.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`; see
            `similitude.data.batches.ImageBatches` and `TextBatches`.
        widths: Widths to train, the smallest being the base of every plan. The verdict is about those from four times
            the smallest on.
        depths: Depths to train, in place of widths.
        base: Dials that stay as they are: the width where the depth changes.
        rules: Parametrizations to compare over widths, "mup" and "ntp" by default. The first one's verdict is that of
            the study.
        depth_rule: Depth rule over depths, or several to compare, e.g. `("depth_mup", "sp")`.
        lr: Learning rate at the base. Where None it is found at the smallest size: a quarter of the largest stable rate,
            or the best one where that is smaller.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`, with a known threshold (SGD, Adam, AdamW, ...).
        steps: Optimizer steps per run.
        every: Steps between measurements of the sharpness.
        seeds: Seeds; a verdict needs three or more.
        schedule: Multiplier of the learning rate by step.
        full_batch: Whether every step has the same batch: `batches.distinct()`, of examples that are there once, or
            `batches.batch(0, 0)` of batches without that method. This is gradient descent, whose sharpness reaches the
            edge of stability. With minibatches it saturates below.
        probe: Batch that everything is measured on; where None the full batch, or `batches.batch(0, 0)`.
        centre: Whether the model's initial output is taken off, so that all sizes start from the same loss.
        output: Entry of the model's output that is centred, where it is neither a tensor nor has `logits`.
        top: Eigenvalues of the Hessian to measure at the ends of windows, beside its parts and the NTK; 0 for the
            sharpness alone, which takes about half of the time.
        windows: Parts of the run over which sharpness is averaged, as fractions of its steps.
        roles: Roles of tensors that the traced pass cannot tell, by name or glob.
        knobs: Multipliers of the base by role, at every size; see `similitude.scaling.knobs`.
        transfer: Whether to train at other learning rates too, and say how the best one shifts; or the rates.
        name: Name of the study in its storage.
        storage: A folder, or an Optuna storage URL. Finished runs found there are not run again.
        engine: Where to run: `InProcess()` (default), `ProcessPool(workers=...)` or `RayEngine()`.
        on_progress: Called often with a `Progress`.

    Returns:
        Per rule the curves, the spread per window, the distances to the largest model, and the verdict.

    Raises:
        GridError: The sizes, rules, seeds, windows or steps are no grid of runs.
        FactoryError: `make` does not give a model of each size.
        PlanError: The sizes cannot be planned, or a tensor's role cannot be told; nothing is trained then.
        CurvatureError: The loss cannot be differentiated twice, the optimizer has no threshold, or the smallest model has
            no trainable parameter or fewer than `top`.
        StudyError: The storage cannot be used or holds another experiment under this name, or training fails.

    Cost:
        rules x sizes x seeds runs of `steps` steps, and per measurement 2 to 4 Hessian products of about two gradients
        each: measured every 10 steps, a run takes about twice as long as without.
    """
    experiment = ConsistencyExperiment(
        name=name,
        make=make,
        batches=batches,
        widths=tuple(widths),
        depths=tuple(depths),
        base=base,
        rules=None if rules is None else (rules,) if isinstance(rules, str) else tuple(rules),
        depth_rule=depth_rule,
        loss=loss,
        optimizer=optimizer,
        steps=steps,
        every=every,
        seeds=tuple(seeds),
        schedule=schedule,
        full_batch=full_batch,
        probe=probe,
        centre=centre,
        output=output,
        top=top,
        windows=tuple(windows),
        roles=roles,
        knobs=knobs,
    )
    return run_consistency(
        experiment, storage, lr=lr, transfer=transfer, engine=engine, on_progress=on_progress
    )


def run_consistency(
    experiment: ConsistencyExperiment,
    storage: str | Path = DEFAULT_FOLDER,
    *,
    lr: float | None = None,
    transfer: bool | Sequence[float] = False,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Consistency:
    """Run a `ConsistencyExperiment`; see `consistency`."""
    started = time.perf_counter()
    given = None if lr is None else Rate(*check_rates([lr], least=1))
    asked = () if isinstance(transfer, bool) else check_rates(transfer)
    experiment.check_model()
    probe(experiment, experiment.trained_on)
    plans = experiment.plans()
    ledger = Ledger.open(storage, experiment.name, fingerprint=experiment.fingerprint())
    rate = given or _rate(ledger, experiment, plans, engine or InProcess(), on_progress)
    if transfer is True:
        asked = tuple(rate.lr * 2.0**octave for octave in TRANSFER_OCTAVES)
    measured = experiment.grid([rate.lr], every=experiment.every)
    others = [value for value in asked if value != rate.lr]
    grid = measured + (experiment.grid(others, every=0) if others else ())
    ledger.recover()
    ledger.populate(grid)
    before = set(ledger.finished()) & set(grid)
    jobs = jobs_of(experiment, plans, [cell for cell in grid if cell not in before])
    work(ledger, experiment, jobs, engine or InProcess(), len(before), len(grid), on_progress)
    results = {cell: result for cell, result in ledger.finished().items() if cell in set(grid)}
    if missing := len(grid) - len(results):
        raise StudyError(
            f"{missing} of {len(grid)} runs of {experiment.name!r} are with another process, which shares the study and "
            "is not waited for; sizes are compared once all are there. Run the same again then; finished runs are kept."
        )
    windows = windows_of(experiment.windows, experiment.steps, experiment.every)
    found = {
        rule: judged(rule, experiment.dial, _curves(ledger, experiment, rule, measured), windows)
        for rule in experiment.compared()
    }
    swept = {_plain(cell): result for cell, result in results.items()}
    transfers = {
        rule: judge_transfer(rule, curves_of(swept, rule, experiment.dial), dial=experiment.dial)
        for rule in (experiment.compared() if others else ())
    }
    return Consistency(
        name=experiment.name,
        rules=found,
        rate=rate,
        windows=windows,
        transfers=transfers,
        settings={**ledger.fingerprint, "measured every": experiment.every, "seeds": len(experiment.seeds)},
        cells_found=len(before),
        cells_run=len(results) - len(before),
        seconds=time.perf_counter() - started,
    )


def _rate(
    ledger: Ledger,
    experiment: ConsistencyExperiment,
    plans: Mapping[str, Mapping[int, Plan]],
    engine: Engine,
    on_progress: Callable[[Progress], None] | None,
) -> Rate:
    """Return the learning rate that was found before, or search it and keep it for when the study is run again."""
    stored = ledger.study.user_attrs.get(RATE)
    if stored is not None:
        return Rate.from_dict(json.loads(stored))
    smallest = experiment.sizes[0]
    plan = plans[next(iter(plans))][smallest]

    def trained(runs: Sequence[tuple[float, int]]) -> list[RunResult]:
        if on_progress is not None:
            on_progress(Progress(experiment.name, "searching the learning rate", 0, 1, 0.0))
        cells = [
            Cell.of(rule=BASE, lr=lr, seed=seed, every=0, **{experiment.dial: smallest}) for lr, seed in runs
        ]
        found: dict[Cell, RunResult] = {}
        try:
            engine.map(
                partial(train_job, experiment),
                [ConsistencyJob(plan, (cell,), 0.0) for cell in cells],
                on_done=lambda job, results: found.update({job.cells[0]: results[0].result}),
            )
        except JobsFailedError as error:
            raise error.__cause__ or error from None
        return [found[cell] for cell in cells]

    rate = find_rate(trained, experiment.seeds)
    with ledger.batch():
        ledger.study.set_user_attr(RATE, json.dumps(rate.to_dict()))
    return rate


def _curves(
    ledger: Ledger,
    experiment: ConsistencyExperiment,
    rule: str,
    measured: Sequence[Cell],
) -> list[SizeCurves]:
    """Collect the measurements of one rule by size; what a run that ended early lacks is nan."""
    found = []
    for size in experiment.sizes:
        cells = [c for c in measured if c[experiment.dial] == size and c["rule"] in (BASE, rule)]
        frames = [ledger.curve(cell) for cell in sorted(cells, key=lambda c: c["seed"])]
        names = list(dict.fromkeys(n for frame in frames for n in frame.columns if n != "step"))
        times = len(experiment.measured)
        series = {
            name: tuple(
                _padded(frame[name].to_list() if name in frame.columns else [], times) for frame in frames
            )
            for name in names
        }
        found.append(SizeCurves(size, experiment.measured, series))
    return found


def _padded(values: Sequence[float], times: int) -> tuple[float, ...]:
    return (*values, *([math.nan] * (times - len(values))))


def _plain(cell: Cell) -> Cell:
    """Return a cell without how often it is measured: what a sweep of learning rates knows it by."""
    return Cell(tuple((name, value) for name, value in cell.params if name != "every"))
