"""`similitude tune resume`: go on with a stored study as it was begun, or with other limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.screen import Screen
from similitude.cli.tune import KEPT
from similitude.core.errors import TuningError

if TYPE_CHECKING:
    import optuna

    from similitude.cli.tune_target import RunSettings


def resume(
    study: str,
    /,
    *,
    target: str | None = None,
    budget: float | None = None,
    per_trial: float | None = None,
    trials: int | None = None,
    workers: int | None = None,
    engine: str | None = None,
    storage: str = "similitude-runs",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Go on with a study: what it was begun with holds, unless it is given anew.

    Parameters
    ----------
    study:
        Its name.
    target:
        The program or objective, where it has moved.
    budget:
        What all trials together may cost, those that are finished included.
    per_trial:
        What one trial may cost.
    trials:
        How many trials the study is to have, those that are finished included.
    workers:
        Trials at once.
    engine:
        process, inline or ray.
    storage:
        Folder, or Optuna storage URL.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json, kept=KEPT) as screen:
        from similitude.cli.tune_run import run_and_show
        from similitude.cli.tune_target import load_target, located
        from similitude.tuning.carbs import BUDGET_KEY
        from similitude.tuning.engines.drive import Ends
        from similitude.tuning.study.stored import load_tuning, stored_budget
        from similitude.tuning.trials.costs import cost_source
        from similitude.tuning.trials.history import stored_space
        from similitude.tuning.tune import trial_engine

        found, where = load_tuning(storage, study)
        settings = settings_of(found, target=target, where=where)
        given = {"target": target and located(target), "trials": trials, "workers": workers, "engine": engine}
        settings = replace(settings, **{key: value for key, value in given.items() if value is not None})
        limits = stored_budget(found)
        changed = {k: v for k, v in {"total": budget, "per_trial": per_trial}.items() if v is not None}
        limits = replace(limits, **changed)
        source = cost_source(settings.source(), limits)
        Ends(settings.trials, None, limits.total)
        trial_engine(settings.engine, workers=settings.workers)
        load_target(settings.target, stored_space(found))
        if changed:  # not before all of it has proved to be good: whoever goes on next is given it too
            found.set_user_attr(BUDGET_KEY, limits.to_dict())
        settings.store(found)
        found, _ = load_tuning(storage, study, cost=source)
        return run_and_show(screen, found, settings, budget=limits, where=storage)


def settings_of(study: optuna.Study, *, target: str | None, where: str) -> RunSettings:
    """Return how a study is run, with what is tuned from the command line where the study does not say.

    Raises:
        TuningError: Neither says what is tuned, or the study has no space.
    """
    from similitude.cli.tune_target import RunSettings, located
    from similitude.tuning.trials.history import stored_space

    stored_space(study)
    settings = RunSettings.of(study)
    if settings is not None:
        return settings
    if target is None:
        raise TuningError(
            f"Study {study.study_name!r} in {where} was not begun by `similitude tune`, and does not say what it tunes. "
            "Name the objective: module:objective or file.py:objective."
        )
    return RunSettings(located(target))
