"""Train one model over learning rates and multipliers of its branches, depth by depth: where is the valley (paper 13)?"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from similitude.core.citation import cites
from similitude.core.errors import FactoryError, GridError, PlanError
from similitude.data.batches import Batches
from similitude.runs.engine import Engine, InProcess
from similitude.scaling.axes import build_shapes
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.sizes import DEPTH, Factory, Size, arguments, as_size
from similitude.studies.fingerprints import with_batches
from similitude.studies.grid_checks import check_optimizer, check_rates, check_runs, check_sizes
from similitude.studies.jobs import Progress
from similitude.studies.names import name_of
from similitude.studies.valley_records import ValleyStudy
from similitude.studies.valley_slope import LEAST, change_of, judge, valley_at
from similitude.training.ensemble import Replica, train_ensemble
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant

MULTIPLIERS = tuple(2.0**k for k in range(-4, 6))
"""Multipliers that are tried where none are given."""

_RATES = "--lrs 2^-9,2^-8,2^-7,2^-6,2^-5"


@dataclass(frozen=True)
class ValleyJob:
    """Runs of one size and multiplier, which make one batched program; plain data, to go to another process."""

    size: Size
    multiplier: float
    lrs: tuple[float, ...]

    def __str__(self) -> str:
        size = ", ".join(f"{dial} {value}" for dial, value in self.size.items())
        return f"{size}, multiplier {self.multiplier:.3g}"


@cites(13, "Section 9: blocks of depth 1 and 2")
def valley(
    make: Factory,
    batches: Batches,
    *,
    base: int | Mapping[str, int],
    lrs: Sequence[float],
    multipliers: Sequence[float] = MULTIPLIERS,
    depths: Sequence[int] | None = None,
    alpha: float = 0.5,
    lr_exponent: float = 0.5,
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.Adam,
    steps: int = 120,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> ValleyStudy:
    """Find the best multiplier of a residual network's branches at every learning rate, and how both trade.

    Good pairs (rate, multiplier) lie in a valley, a line in their logarithms. A rule of depth moves the whole line by a
    pair of exponents; where its slope depends on the depth there is no such rule. With blocks of one layer the slope is
    about -1 at every depth (the product of rate and multiplier counts); with two it goes from -2 to -1 as the network
    becomes deeper.

    Args:
        make: Function of the dials and of `multiplier`, the number that every branch is multiplied by; returns a model.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`.
        base: Size of the model: a width, or dials such as `{"width": 40, "depth": 1}`.
        lrs: Learning rates, as the optimizer takes them, at the first depth; three or more.
        multipliers: Multipliers of the branches at the first depth; three or more, an octave apart as a rule.
        depths: Depths to compare, in place of that of the base.
        alpha: Multipliers are those given times (depth / first depth)^-alpha.
        lr_exponent: Learning rates are those given times (depth / first depth)^-lr_exponent.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`.
        steps: Optimizer steps per run.
        seeds: Seeds of every pair; two or more give intervals of their noise.
        schedule: Multiplier of the learning rate by step.
        engine: Where to run: `InProcess()` (default), `ProcessPool(workers=...)` or `RayEngine()`.
        on_progress: Called with a `Progress` whenever a multiplier of a depth is finished.

    Returns:
        Per depth the best multipliers with intervals, their slope with its interval, and whether it stays.

    Raises:
        GridError: The rates, multipliers, depths, seeds or steps are no grid of runs.
        PlanError: The size is not one, an exponent is not finite, or the optimizer takes matrices alone.
        FactoryError: `make` does not give a model of this size and multiplier.
        JobsFailedError: Training failed; the text says why.

    Example:
        >>> from similitude.data import load
        >>> from similitude.data.batches import ImageBatches
        >>> from similitude.models import ResMLP
        >>> make = lambda width, depth, multiplier: ResMLP(64, 10, width=width, depth=depth, branch=multiplier)
        >>> digits, size = ImageBatches(load("digits"), batch_size=8), {"width": 8, "depth": 1}
        >>> found = valley(make, digits, base=size, lrs=(0.01, 0.02, 0.04), multipliers=(0.5, 1, 2), steps=2)
        >>> len(found.valleys[0].points), found.valleys[0].multipliers
        (3, (0.5, 1.0, 2.0))

    Source: paper 13 (arXiv 2310.02244), Section 9.

    Cost: rates x multipliers x seeds x depths runs of `steps` steps, as batched programs.
    """
    check_runs(steps, seeds)
    check_optimizer(optimizer)
    rates, factors = check_rates(lrs, least=LEAST, remedy=_RATES), _checked(multipliers)
    first = as_size(base, "base")
    sizes = [first] if depths is None else [{**first, DEPTH: depth} for depth in check_sizes(depths, DEPTH)]
    for name, exponent in (("alpha", alpha), ("lr_exponent", lr_exponent)):
        if not math.isfinite(exponent):
            raise PlanError(f"{name}={exponent} is no exponent. Pass a finite number, e.g. 0.5.")
    for size in sizes:
        build_shapes(_at(make, factors[0]), size)  # says what is wrong with make before anything is trained
    jobs: list[ValleyJob] = []
    for size in sizes:
        ratio = size[DEPTH] / sizes[0][DEPTH] if depths is not None else 1.0
        mine = tuple(lr * ratio**-lr_exponent for lr in rates)
        jobs += [ValleyJob(size, factor * ratio**-alpha, mine) for factor in factors]
    finished: dict[int, np.ndarray] = {}

    def done(job: ValleyJob, losses: np.ndarray) -> None:
        finished[jobs.index(job)] = losses
        if on_progress is not None:
            on_progress(Progress("valley", str(job), len(finished), len(jobs), len(finished) / len(jobs)))

    work = functools.partial(
        final_losses,
        make=make,
        batches=batches,
        loss=loss,
        optimizer=optimizer,
        steps=steps,
        seeds=tuple(map(int, seeds)),
        schedule=schedule,
    )
    (engine or InProcess()).map(work, jobs, on_done=done)
    valleys = []
    for place in range(0, len(jobs), len(factors)):
        part = jobs[place : place + len(factors)]
        losses = np.stack([finished[place + i] for i in range(len(part))], axis=1)
        valleys.append(valley_at(part[0].size, part[0].lrs, [job.multiplier for job in part], losses))
    change, interval = change_of(valleys)
    settings = with_batches(
        {
            "model": name_of(make),
            "optimizer": resolve(optimizer).name,
            "loss": name_of(loss),
            "steps": int(steps),
            "seeds": len(seeds),
        },
        batches,
    )
    verdict = judge(valleys, change, interval)
    return ValleyStudy(tuple(valleys), change, interval, alpha, lr_exponent, settings, verdict)


def final_losses(
    job: ValleyJob,
    *,
    make: Factory,
    batches: Batches,
    loss: Loss,
    optimizer: OptimizerLike,
    steps: int,
    seeds: Sequence[int],
    schedule: Schedule,
) -> np.ndarray:
    """Train the runs of one job.

    Returns:
        Final losses, shape (rates, seeds); inf where a run diverged.
    """

    def built() -> nn.Module:  # under the generator of the run, which is seeded already
        args, dials = arguments(make, job.size)
        return make(*args, **dials, multiplier=job.multiplier)

    runs = train_ensemble(
        built,
        [Replica(seed, lr) for lr in job.lrs for seed in seeds],
        batches=batches,
        loss=loss,
        steps=steps,
        optimizer=optimizer,
        schedule=schedule,
    )
    return np.array([run.final for run in runs]).reshape(len(job.lrs), len(seeds))


def _at(make: Factory, multiplier: float) -> Factory:
    """Return the factory of one multiplier.

    Raises:
        FactoryError: `make` takes none.
    """
    try:
        names = inspect.signature(make).parameters
    except (TypeError, ValueError):  # written in C without a signature: the call itself will tell
        names = {}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in names.values())
    if names and "multiplier" not in names and not takes_any:
        raise FactoryError(
            f"'{name_of(make)}' takes {', '.join(names)} and no multiplier, the number that every branch is to be "
            "multiplied by. Add it: def make(width, depth, multiplier), and x = x + multiplier * block(x) inside."
        )
    return functools.partial(make, multiplier=multiplier)


def _checked(multipliers: Sequence[float]) -> tuple[float, ...]:
    ordered = tuple(sorted(float(factor) for factor in multipliers))
    bad = [factor for factor in ordered if not (math.isfinite(factor) and factor > 0)]
    if bad or len(set(ordered)) < max(LEAST, len(ordered)):
        listed = ", ".join(f"{factor:g}" for factor in ordered) or "none"
        raise GridError(
            f"the multipliers {listed} bracket no best one: that takes {LEAST} or more, all positive, finite and "
            "different. Pass e.g. multipliers=[0.125, 0.25, 0.5, 1, 2, 4, 8]."
        )
    return ordered
