"""Tune a model family at its base, verify the result at larger sizes, and plan the target (paper 17, muTransfer)."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from similitude.core.citation import cites
from similitude.core.errors import GridError, TuningError
from similitude.data.batches import Batches
from similitude.runs.engine import Engine
from similitude.runs.ledger import Ledger
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.sizes import Factory, Size, as_size
from similitude.studies.base_knobs import settings_of
from similitude.studies.family_records import TunedFamily
from similitude.studies.family_search import BaseObjective, FamilySearch, one_run, planned
from similitude.studies.family_verdict import Tolerances, checks_of, judge
from similitude.studies.family_verification import ladder, verify
from similitude.studies.forecast_records import Estimate
from similitude.studies.jobs import Progress
from similitude.studies.probe import probe
from similitude.training.loop import Loss
from similitude.training.losses import cross_entropy
from similitude.training.schedule import Schedule, constant
from similitude.tuning.engines.drive import TuningProgress
from similitude.tuning.engines.engine import TrialEngine
from similitude.tuning.search.best import best
from similitude.tuning.space.space import Space
from similitude.tuning.study.stored import DEFAULT_FOLDER
from similitude.tuning.trials.history import History
from similitude.tuning.tune import EngineName, tune

TRIALS = 30
"""Trials of the search where the user names no number: about ten for each of the two or three knobs that matter."""


@cites(17, "Algorithm 1: tune the proxy, transfer to the target")
@cites(10, "Section 3: the search")
def tune_family(
    make: Factory,
    batches: Batches,
    *,
    target: int | Size,
    widths: Sequence[int] = (),
    depths: Sequence[int] = (),
    base: int | Size | None = None,
    rule: str = "mup",
    depth_rule: DepthRule | None = None,
    space: Space | None = None,
    lr: float = 2.0**-8,
    loss: Loss = cross_entropy,
    optimizer: OptimizerLike = torch.optim.AdamW,
    steps: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    schedule: Schedule = constant,
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    trials: int = TRIALS,
    check: Sequence[str] | None = None,
    points: int = 7,
    step: float = 1.0,
    tolerance: float = 0.5,
    loss_tolerance: float = 0.05,
    name: str = "family",
    storage: str | Path = DEFAULT_FOLDER,
    seed: int = 0,
    engine: EngineName | TrialEngine = "inline",
    workers: int = 1,
    runs: Engine | None = None,
    on_trial: Callable[[TuningProgress], None] | None = None,
    on_run: Callable[[Progress], None] | None = None,
) -> TunedFamily:
    """Tune the knobs of a family's base by real training, verify them at larger sizes, and plan the target.

    The search (`sim.CarbsSampler`) trains the smallest size alone. Then each tuned knob is moved by octaves around its
    value at every size, all others kept: the value that is best at the base should be best, or as good as the best, at
    the larger sizes. What is verified so is used at the target, by a plan with the tuned knobs.

    Args:
        make: Function of the width, or of the width and the depth, that returns a model; importable from a module where
            processes are used.
        batches: Any object with `batch(seed, step)`, `evaluation()` and `describe()`.
        target: Size to plan for: a width, or every dial by name.
        widths: Widths: the smallest is tuned, the others (two are best) verify it.
        depths: Depths, in place of widths.
        base: Dials that stay as they are: the width where the depth changes, or the depth where the width does.
        rule: Parametrization over widths.
        depth_rule: Depth rule over depths.
        space: What is tuned, all `sim.Log`: "lr", options of the optimizer ("weight_decay"), and knobs of roles
            ("hidden.init", "output.multiplier", "embedding.lr"). By default the rate, the weight decay if the optimizer
            has one, the init of the matrices, and the multipliers of table and head.
        lr: Learning rate at which the search begins, where no space is given.
        loss: `loss(model, batch) -> scalar`.
        optimizer: Optimizer class, instance or `functools.partial`.
        steps: Optimizer steps per run.
        seeds: Seeds; a configuration is trained with each, three or more give intervals.
        schedule: Multiplier of the learning rate by step.
        roles: Roles of tensors that the traced pass cannot tell, by name or glob.
        knobs: Knobs of the base that stay as they are.
        trials: Configurations that the search tries.
        check: The knobs to verify; all that are tuned by default.
        points: Values of each knob at every size of the verification, odd, at least 5.
        step: Distance of neighbouring values, in octaves.
        tolerance: Distance of an optimum from the tuned value that counts as none, in octaves.
        loss_tolerance: Excess over the best loss that counts as none, relative to it.
        name: Name of the search and, with "-verification", of the study that verifies it.
        storage: A folder, or an Optuna storage URL; the same call continues what was interrupted.
        seed: Of the search.
        engine: Where trials run: "inline", "process", "ray", or an engine of `similitude.tuning`.
        workers: How many trials run at once.
        runs: Where the runs of the verification run: `InProcess()` (default), `ProcessPool(workers=...)` or
            `RayEngine()`.
        on_trial: Called with the progress of the search.
        on_run: Called with the progress of the verification.

    Returns:
        The tuned configuration, its verification with a verdict, and the plan of the target.

    Raises:
        GridError: Sizes, seeds, steps or points are no grid; a knob to verify is not tuned, or there is none to verify;
            the target is no size.
        TuningError: The space is none of a base's knobs, or every trial failed.
        PlanError: The sizes or the target cannot be planned.
        FactoryError: `make` does not give a model of each size.
        StudyError: The storage cannot be used, or holds something else under this name; training fails.

    Cost:
        `trials` x seeds runs of the base, and (points - 1) x knobs + 1 times seeds runs of every size.
    """
    started = time.perf_counter()
    _check_distances(step=step, tolerance=tolerance, loss_tolerance=loss_tolerance)
    if space is not None and not isinstance(space, Space):
        raise TuningError(f"space={space!r} is no space. Pass sim.Space(lr=sim.Log(2**-8), ...).")
    search = FamilySearch(
        name=name,
        make=make,
        batches=batches,
        widths=tuple(widths),
        depths=tuple(depths),
        base=base,
        rules=None if depths else (rule,),
        depth_rule=depth_rule,
        space=space,
        lr=lr,
        loss=loss,
        optimizer=optimizer,
        steps=steps,
        seeds=tuple(seeds),
        schedule=schedule,
        roles=roles,
        knobs=knobs,
    )
    searched = search.searched()
    names = _to_verify(searched, check)
    for key in names:
        ladder(
            searched, key, tuned=1.0, points=points, step=step
        )  # says what is wrong before anything is trained
    at = _target(search, target)
    planned(search, settings_of(searched.center), at)
    probe(search)
    ledger = Ledger.open(storage, f"{name}-verification", fingerprint=search.fingerprint())
    study = tune(
        BaseObjective(search, searched),
        searched,
        trials=trials,
        cost=one_run,
        engine=engine,
        workers=workers,
        name=name,
        storage=storage,
        seed=seed,
        on_progress=on_trial,
    )
    history = History.from_study(study, searched)
    if not len(history.values):
        kinds = Counter(failed.kind for failed in history.failures)
        raise TuningError(
            f"none of {len(study.trials)} trials at the base gave a value"
            + (f" ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})" if kinds else "")
            + ". Begin the search where training works, e.g. at a smaller learning rate: lr=, or the space's center."
        )
    found = best(history, 1.0)
    values = {key: float(value) for key, value in found.values.items()}
    curves = verify(
        search,
        searched,
        values,
        ledger,
        names=names,
        points=points,
        step=step,
        engine=runs,
        on_progress=on_run,
    )
    checks = checks_of(curves, values)
    return TunedFamily(
        name=name,
        rule=search.rule,
        dial=search.dial,
        sizes=search.sizes,
        values=values,
        loss=Estimate(found.value, found.low, found.high),
        replicates=found.replicates,
        trials=len(history.values),
        failures=len(history.failures),
        checks=checks,
        plan=planned(search, settings_of(values), at),
        verdict=judge(
            checks,
            search.sizes[0],
            Tolerances(tolerance, loss_tolerance),
            dial=search.dial,
            seeds=len(search.seeds),
            trials=trials,
        ),
        settings={**ledger.fingerprint, "seeds": len(search.seeds), "space": searched.to_dict()},
        seconds=time.perf_counter() - started,
    )


def _check_distances(*, step: float, **tolerances: float) -> None:
    for name, value in {"step": step, **tolerances}.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < math.inf or (name == "step" and not value):
            raise GridError(
                f"{name}={value!r}: give a finite number {'above 0' if name == 'step' else 'of at least 0'}."
            )


def _to_verify(space: Space, check: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(check, str):
        raise GridError(f"check={check!r}: pass names in a list, e.g. check=[{check!r}].")
    names = space.names if check is None else tuple(check)
    if not names:
        raise GridError(
            f"check names no knob: nothing would be verified. Name some of {', '.join(space.names)}, or leave check out."
        )
    for name in names:
        if name not in space:
            raise GridError(
                f"check names {name!r}, which is not tuned: the space has {', '.join(space.names)}. Name some of these."
            )
    return names


def _target(search: FamilySearch, target: int | Size) -> dict[str, int]:
    """Return the target with every dial of the base: an integer is the dial that changes."""
    if not isinstance(target, int | Mapping):
        raise GridError(
            f"target={target!r} is no size. Give the {search.dial} as a whole number, or every dial by name, e.g. "
            f'{{"{search.dial}": 1024}}.'
        )
    smallest = search.at(search.sizes[0])
    given = {search.dial: target} if isinstance(target, int) else dict(target)
    return as_size({**smallest, **given}, "target")
