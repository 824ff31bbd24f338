"""Tune an objective: make or continue the study, and run its trials on an engine until the budget is spent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import optuna

from similitude.core.errors import TuningError
from similitude.runs.ray_options import is_ray, ray_engine
from similitude.runs.storage import translated
from similitude.tuning.arguments import check_budget, check_lease
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.engines.drive import Ends, TuningProgress, drive
from similitude.tuning.engines.engine import InlineTrials, TrialEngine
from similitude.tuning.engines.processes import ProcessTrials
from similitude.tuning.engines.ray_trials import RayTrials
from similitude.tuning.engines.turns import LEASE_SECONDS
from similitude.tuning.space.description import check_objectives
from similitude.tuning.space.space import Space
from similitude.tuning.study.stored import DEFAULT_FOLDER, open_tuning
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.costs import cost_source, in_cost_units
from similitude.tuning.trials.history import Cost
from similitude.tuning.trials.outcome import Objective

EngineName = Literal["process", "inline", "ray"]


def tune(
    objective: Objective,
    where: Space | optuna.Study,
    *,
    budget: Budget | None = None,
    trials: int | None = None,
    here: int | None = None,
    cost: Cost | None = None,
    engine: EngineName | TrialEngine = "process",
    workers: int = 1,
    name: str = "tuning",
    storage: str | Path = DEFAULT_FOLDER,
    seed: int = 0,
    direction: Literal["minimize", "maximize"] = "minimize",
    lease: float = LEASE_SECONDS,
    on_progress: Callable[[TuningProgress], None] | None = None,
) -> optuna.Study:
    """Search a space, or continue a study, with every trial in a process of its own that is killed at its cap.

    It may be interrupted or killed at any moment, and goes on when it is called again: no finished trial is lost or run
    twice, and one that was running is run again under its number. Several processes, on several machines too, may call
    it with the same storage and name. For threads, pruners, callbacks and the rest of Optuna, the study and
    `CarbsSampler` work with a plain `study.optimize` as well.

    How a trial ends: a finite value counts. A value that is not finite, memory that runs out, arithmetic that breaks
    down, a cap that is passed, and what `space.fail(trial, kind)` says are failures of the configuration, and learnt. Any
    other error, and a process that crashes, are not: the trial is run again once, then given up.

    Args:
        objective: Called with a trial; takes its values by `space.suggest(trial)`, tells its cost by
            `trial.set_user_attr("cost", c)` where that is not measured, and returns one number. For processes it is
            defined at the top level of a module.
        where: The space, for a study of this `name` in this `storage`, which is made if it is not there; or any Optuna
            study, by whatever sampler.
        budget: What all trials and each may cost; by default what the study's `CarbsSampler` says, if it has one. A trial
            is killed once it passes `per_trial`: where the unit is "seconds", "minutes" or "hours" by the clock, else by
            the cost that it tells while it runs.
        trials: How many trials the study is to have in all, with a value or failed by their own fault.
        here: How many trials this call runs at most.
        cost: Where costs come from: name of a user attribute, "seconds", or a function of the configuration. The default
            is that of the study's `CarbsSampler`, else "seconds" where the budget counts time, else the attribute "cost".
        engine: "process" for a process each; "inline" for one after another in this process, where caps are soft; "ray"
            for a Ray cluster; or an engine, e.g. `ProcessTrials(workers=4)`.
        workers: How many trials run at once.
        name: Name of the study.
        storage: A folder, or an Optuna storage URL.
        seed: Of the search.
        direction: Whether small or large values are good.
        lease: Seconds after which a trial whose process has not been heard of is run by another.
        on_progress: Called often with a `TuningProgress`.

    Returns:
        The study.

    Raises:
        TuningError: The study has no end or does not fit, or trials end in errors one after another.
        StudyError: The storage cannot be used.
        KeyboardInterrupt: Ctrl-C. The study can be continued.

    Example:
        >>> import tempfile
        >>> from similitude.tuning.space.dimensions import Log
        >>> space = Space(lr=Log(1e-3), width=Log(32, integer=True, role="scale"))
        >>> def objective(trial):
        ...     values = space.suggest(trial)
        ...     trial.set_user_attr("cost", float(values["width"]))
        ...     return 1 / values["width"] + abs(values["lr"] - 0.01)
        >>> study = tune(objective, space, trials=3, engine="inline", storage=tempfile.mkdtemp())
        >>> study.trials[0].params == space.center, len(study.trials)
        (True, 3)
    """
    if isinstance(where, optuna.Study):
        check_objectives(where)
        if isinstance(where.sampler, CarbsSampler):
            budget = where.sampler.budget if budget is None else budget
            cost = where.sampler.cost if cost is None else cost
    budget, lease = check_budget(budget), check_lease(lease)
    source = cost_source(cost, budget)
    ends = Ends(trials, here, in_cost_units(budget.total, budget, source))
    chosen = trial_engine(engine, workers=workers)
    if isinstance(where, optuna.Study):
        study, place = where, "of the study"
    else:
        study, place = open_tuning(
            storage, name, where, budget=budget, cost=source, seed=seed, direction=direction
        )
    with translated(place):
        drive(
            objective,
            study,
            engine=chosen,
            ends=ends,
            budget=budget,
            cost=source,
            lease=lease,
            on_progress=on_progress,
        )
    return study


def trial_engine(engine: str | TrialEngine, *, workers: int = 1) -> TrialEngine:
    """Return an engine by its name.

    Args:
        engine: Its name, which for Ray may have settings ("ray:num_gpus=1,address=head:6379"); or an engine, which has
            its own number of workers.
        workers: How many trials run at once.

    Raises:
        TuningError: There is none of this name, or it cannot run so many at once.
    """
    if not isinstance(engine, str):
        if not hasattr(engine, "open"):
            raise TuningError(f'engine={engine!r} is none: "process", "inline" and "ray" are.')
        return engine
    if engine == "process":
        return ProcessTrials(workers)
    if engine == "inline":
        if workers != 1:
            raise TuningError(
                f'engine="inline" runs one trial at a time, and {workers} workers were asked for. Use '
                'engine="process"; for threads, study.optimize(objective, n_jobs=...).'
            )
        return InlineTrials()
    if is_ray(engine):
        return RayTrials(workers, ray_engine(engine, retries=0))
    raise TuningError(f'engine={engine!r} is none: "process", "inline" and "ray" are.')
