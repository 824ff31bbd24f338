"""What trials cost: told by the objective, measured, or computed from the configuration; refused where it is no cost."""

from __future__ import annotations

import datetime
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from similitude.core.errors import TuningError
from similitude.runs.engine import one_line
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.history import SECONDS_KEY, Cost, as_number, check_cost

COST_KEY = "similitude:cost"
"""User attribute of a study that says where the costs of its trials come from."""

REFUSED_KEY = "similitude:refused_cost"
"""User attribute of a trial whose cost was refused: what it told."""

TOLD = "cost"
"""User attribute of a trial under which its cost is found, wherever it came from."""

_SECONDS = {
    name + s: n for name, n in (("second", 1.0), ("minute", 60.0), ("hour", 3600.0)) for s in ("", "s")
}
_DEAREST = 1e300

_ENOUGH = 4  # finished trials after which it is said that most tell no cost


def name_of(cost: Cost) -> str:
    """Return what a study stores about where its costs come from.

    Example:
        >>> name_of("seconds"), name_of(lambda values: 6 * values["width"])
        ('seconds', 'a function of the configuration')
    """
    return cost if isinstance(cost, str) else "a function of the configuration"


def check_source(cost: Cost, budget: Budget) -> None:
    """Refuse a way to tell costs that is none, or that the budget does not count in.

    Args:
        cost: Name of a user attribute, "seconds", or a function of the configuration.
        budget: The budget.

    Raises:
        TuningError: It is none of these, or measured seconds meet a budget in another unit.
    """
    if not callable(cost) and not (isinstance(cost, str) and cost):
        raise TuningError(
            f'cost={cost!r}: give the name of the user attribute that holds a trial\'s cost, "seconds" for '
            "measured time, or a function that takes the configuration (a dict) and returns its cost."
        )
    if cost == "seconds" and budget.unit not in (None, *_SECONDS):
        raise TuningError(
            f'cost="seconds" measures time, and the budget counts in {budget.unit!r}. Tell the cost of each trial '
            'in that unit by trial.set_user_attr("cost", c), or count the budget in seconds, minutes or hours.'
        )


def in_cost_units(limit: float | None, budget: Budget, cost: Cost) -> float | None:
    """Return a limit of a budget in the unit in which trials tell their costs: seconds where these are measured.

    Example:
        >>> in_cost_units(2.0, Budget(per_trial=2.0, unit="hours"), "seconds")
        7200.0
    """
    if limit is None or cost != "seconds" or budget.unit is None:
        return limit
    return limit * _SECONDS[budget.unit]


def in_seconds(budget: Budget) -> Budget:
    """Return a budget of measured time in seconds; one in another unit, or in none, as it is.

    Example:
        >>> in_seconds(Budget(total=2, unit="hours")).total
        7200.0
    """
    if budget.unit not in _SECONDS:
        return budget
    total, per_trial = (in_cost_units(limit, budget, "seconds") for limit in (budget.total, budget.per_trial))
    return Budget(total, per_trial, "seconds")


def cost_source(cost: Cost | None, budget: Budget) -> Cost:
    """Return where costs come from: as given, else measured where the budget counts time, else told as "cost".

    Args:
        cost: Name of a user attribute, "seconds", a function of the configuration, or None.
        budget: The budget.

    Raises:
        TuningError: It is none of these, or does not go with the budget's unit.

    Example:
        >>> cost_source(None, Budget(total=8, unit="hours")), cost_source(None, Budget(total=8))
        ('seconds', 'cost')
    """
    if cost is None:
        cost = "seconds" if budget.unit in _SECONDS else TOLD
    check_source(cost, budget)
    return cost


def settle(
    study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Mapping[str, Any], cost: Cost
) -> None:
    """Store the cost of a trial that is about to end, or refuse the one that it told.

    A cost that is measured or computed is stored under "cost", where everything else reads it. A refused one is
    moved aside, so that the study can be continued without the trial.

    Args:
        study: The study.
        trial: The trial, still running.
        state: How it ends.
        values: Its configuration.
        cost: Where costs come from.

    Raises:
        TuningError: The cost is not a finite number above 0; the trial is named. A failure may cost nothing.
    """
    storage, trial_id = study._storage, trial._trial_id
    if cost == "seconds":
        measured = trial.user_attrs.get(SECONDS_KEY)
        storage.set_trial_user_attr(
            trial_id, TOLD, _seconds(trial) if measured is None else max(measured, 1e-6)
        )
        return
    if callable(cost):
        if values:  # else it ended before it had a configuration
            storage.set_trial_user_attr(trial_id, TOLD, computed(cost, trial.number, values))
        return
    told = trial.user_attrs.get(cost)
    failed = state != TrialState.COMPLETE or FAILURE_KEY in trial.user_attrs
    if told is None or (failed and told == 0):
        return
    try:
        number = check_cost(told, f"Trial {trial.number} told")
    except TuningError:
        storage.set_trial_user_attr(trial_id, REFUSED_KEY, repr(told))
        storage.set_trial_user_attr(trial_id, cost, None)
        raise
    if not isinstance(told, int | float):  # numpy's, which no other storage than memory takes
        storage.set_trial_user_attr(trial_id, cost, number)


def computed(cost: Callable[[Mapping[str, Any]], float], number: int, values: Mapping[str, Any]) -> float:
    """Return what a function of the configuration says that a trial costs.

    Args:
        cost: The function.
        number: Of the trial.
        values: Its configuration.

    Raises:
        TuningError: The function gives no finite number above 0, or raises an error; the trial is named.
    """
    try:
        given = cost(values)
    except Exception as error:
        raise TuningError(
            f"The cost function raised {one_line(error)} for trial {number}, {dict(values)}. It must give a cost for "
            "every configuration of the space."
        ) from error
    return check_cost(given, f"The cost function gave trial {number}, {dict(values)}, the")


def foreseen(cost: Callable[[Mapping[str, Any]], float], values: Mapping[str, Any]) -> float:
    """Return what a configuration would cost that nobody runs yet; a huge number where that is more than a float holds.

    Args:
        cost: The function that says so.
        values: The configuration.

    Raises:
        TuningError: The function gives nothing above 0, or raises another error; the configuration is named.

    Example:
        >>> foreseen(lambda values: 2.0 ** values["depth"], {"depth": 5000})
        1e+300
    """
    try:
        given = as_number(cost(values))
    except OverflowError:
        return _DEAREST
    except Exception as error:
        raise TuningError(
            f"The cost function raised {one_line(error)} for the candidate {dict(values)}. It must give a cost for every "
            "configuration of the space."
        ) from error
    if not given > 0:
        raise TuningError(
            f"The cost function gave the candidate {dict(values)} no cost above 0. It must give one to every "
            "configuration of the space."
        )
    return min(given, _DEAREST)


def paid(trials: Sequence[FrozenTrial], cost: Cost, *, now: float) -> float:
    """Return what some trials have cost so far, whatever became of them, and running ones up to now.

    A running trial counts with its full cost where that is told already, as it is where a function computes it; with
    the time that it has taken where time is measured; and not at all where nothing is known.

    Args:
        trials: Trials of a study.
        cost: Where costs come from.
        now: Seconds since 1970.
    """
    return math.fsum(_paid(trial, cost, now) for trial in trials)


def committed(trials: Sequence[FrozenTrial], cost: Cost, *, now: float) -> float:
    """Return what some trials will have cost once those that run have ended.

    A running trial whose cost is not told yet is taken for as dear as the finished ones are on average, or as dear as it
    is already.

    Args:
        trials: Trials of a study.
        cost: Where costs come from.
        now: Seconds since 1970.
    """
    spent = [(_paid(trial, cost, now), trial.state == TrialState.RUNNING) for trial in trials]
    ended = [amount for amount, running in spent if amount and not running]
    usual = math.fsum(ended) / len(ended) if ended else 0.0
    return math.fsum(max(amount, usual) if running else amount for amount, running in spent)


def check_told(trials: Sequence[FrozenTrial], cost: Cost, total: float) -> None:
    """Refuse to go on with a study that only its budget ends, where no trial tells what it cost.

    Args:
        trials: Trials of a study.
        cost: Where costs come from.
        total: What they may cost together.

    Raises:
        TuningError: Several have a value, and none tells a cost: the budget would never be spent.
    """
    if not isinstance(cost, str) or cost == "seconds":
        return
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    if len(finished) < _ENOUGH or any(t.user_attrs.get(cost) is not None for t in finished):
        return
    raise TuningError(
        f"None of the {len(finished)} finished trials tells what it cost, so that a budget of {total:g} would never be "
        f"spent. Tell the cost in the objective, trial.set_user_attr({cost!r}, c), before it returns (a program prints "
        '{"value": ..., "cost": ...}); count the budget in seconds, minutes or hours; or end the study by its number of '
        "trials."
    )


def warn_of_missing(trials: Sequence[FrozenTrial], cost: Cost, *, total: float | None = None) -> bool:
    """Warn if most of the finished trials tell no cost, and say what is taken instead.

    Args:
        trials: Trials of a study.
        cost: Where costs come from.
        total: What they may cost together.

    Returns:
        Whether that is so.
    """
    if not isinstance(cost, str) or cost == "seconds":
        return False
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    silent = sum(1 for t in finished if t.user_attrs.get(cost) is None)
    if len(finished) < _ENOUGH or silent <= len(finished) / 2:
        return False
    instead = "the seconds that they took are used" if silent == len(finished) else "they are left out"
    if total is not None:
        instead += f", and nothing of them counts towards the budget of {total:g}"
    warnings.warn(
        f"{silent} of {len(finished)} finished trials have no user attribute {cost!r}, which holds what a trial "
        f"cost; {instead}. Tell the cost in the objective, trial.set_user_attr({cost!r}, c), before it returns, "
        'or say cost="seconds".',
        stacklevel=2,
    )
    return True


def _paid(trial: FrozenTrial, cost: Cost, now: float) -> float:
    told = as_number(trial.user_attrs.get(TOLD if callable(cost) or cost == "seconds" else cost))
    if 0 < told < math.inf:
        return told
    return _seconds(trial, now) if cost == "seconds" and trial.state == TrialState.RUNNING else 0.0


def _seconds(trial: FrozenTrial, now: float | None = None) -> float:
    if trial.datetime_start is None:
        return 1e-6
    end = datetime.datetime.now() if now is None else datetime.datetime.fromtimestamp(now)
    return max((end - trial.datetime_start).total_seconds(), 1e-6)  # the clock may not have moved
