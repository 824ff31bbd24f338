"""Warm starts: trials of another study, by whatever sampler, taken over as far as they lie in the new one's space."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from similitude.core.errors import TuningError
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.space import Space
from similitude.tuning.study.stored import stored_cost
from similitude.tuning.trials.costs import TOLD
from similitude.tuning.trials.failures import FAILURE_KEY, learnt
from similitude.tuning.trials.history import SECONDS_KEY, check_cost, stored_space

ORIGIN_KEY = "similitude:warm_from"
"""User attribute of a trial that was taken over: the study and the number that it had there."""


@dataclass(frozen=True)
class WarmStart:
    """What was taken over from another study.

    Attributes:
        taken: How many trials were added.
        left_out: How many were not, by reason.
    """

    taken: int
    left_out: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        total = self.taken + sum(self.left_out.values())
        reasons = "".join(f"; {count} {reason}" for reason, count in self.left_out.items())
        return f"{self.taken} of {total} trials taken over{reasons}"


def warm_start(
    study: optuna.Study,
    other: optuna.Study,
    *,
    space: Space | None = None,
    cost: str | Callable[[FrozenTrial], float] = "cost",
) -> WarmStart:
    """Add the trials of another study that say something about this one's space.

    Finished trials and configurations that failed count. Dimensions that the other study did not have are taken
    to have been at their center, which is right if that is what its code did; parameters that this space does not
    have are dropped. Call it before the first trial; calling it again adds nothing twice.

    Args:
        study: The new study.
        other: The one to learn from, by whatever sampler.
        space: The space of the new study; where None, the one that it holds, or that of its sampler.
        cost: What a trial of the other study cost, in the new one's unit: name of its user attribute, "seconds", or
            a function of the trial.

    Returns:
        How many trials were taken over, and why the others were not.

    Raises:
        TuningError: One study is minimized and the other maximized, one has several objectives, no space is known,
            or a cost is not a finite number above 0.

    Example:
        >>> import optuna
        >>> from similitude.tuning.space.dimensions import Linear, Log
        >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
        >>> old = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        >>> def objective(trial):
        ...     trial.set_user_attr("cost", 1.0)
        ...     return trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        >>> old.optimize(objective, n_trials=5)
        >>> new = optuna.create_study()
        >>> space = Space(lr=Log(1e-2, high=1.0), momentum=Linear(0.9, low=0, high=1))
        >>> print(warm_start(new, old, space=space))
        5 of 5 trials taken over
        >>> new.trials[0].params["momentum"]
        0.9
        >>> optuna.logging.set_verbosity(optuna.logging.INFO)
    """
    for given in (study, other):
        if not isinstance(given, optuna.Study):
            raise TuningError(f"{given!r:.80} is no study: sim.warm_start(new, old) takes two of Optuna's.")
    if study.directions != other.directions or len(study.directions) != 1:
        raise TuningError(
            f"The new study has the directions {_names(study)}, the other one {_names(other)}; both must have the same "
            "single one. Make the new study with direction=... as the other one's."
        )
    if space is None:
        space = study.sampler.space if isinstance(study.sampler, CarbsSampler) else stored_space(study)
    there = {
        tuple(t.user_attrs[ORIGIN_KEY])
        for t in study.get_trials(deepcopy=False)
        if ORIGIN_KEY in t.user_attrs
    }
    reasons: Counter[str] = Counter()
    taken: list[FrozenTrial] = []
    for trial in other.get_trials(deepcopy=False):
        origin = (other.study_name, trial.number)
        if origin in there:
            reasons["are there already"] += 1
        elif not _says_something(trial):
            reasons["ended without a value or a reason of their own"] += 1
        elif (values := _in_space(space, trial)) is None:
            reasons["lie outside the space"] += 1
        else:
            taken.append(_moved(trial, origin, space, values, cost, _names_of_cost(study)))
    study.add_trials(taken)
    return WarmStart(len(taken), dict(reasons))


def _says_something(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE or (
        trial.state.is_finished() and learnt(trial.user_attrs.get(FAILURE_KEY))
    )


def _in_space(space: Space, trial: FrozenTrial) -> dict[str, Any] | None:
    """Return a trial's configuration in a space, or None if it has no place there."""
    values: dict[str, Any] = {}
    distributions = space.distributions()
    for name, dim in space.items():
        if name not in space.active(values | {name: None}):
            continue
        value = trial.params.get(name, dim.first)
        try:
            inside = dim.bounds[0] - 1e-9 <= dim.to_unit(value) <= dim.bounds[1] + 1e-9
            if isinstance(distributions[name], IntDistribution):
                value = dim.admissible(value)
        except TuningError:
            return None
        if not inside or not distributions[name]._contains(distributions[name].to_internal_repr(value)):
            return None
        values[name] = value
    return values


def _moved(
    trial: FrozenTrial,
    origin: tuple[str, int],
    space: Space,
    values: dict[str, Any],
    cost: str | Callable[[FrozenTrial], float],
    names: tuple[str, ...],
) -> FrozenTrial:
    """Return the trial as it is added to the new study, which reads its cost under some names."""
    moved = copy.deepcopy(trial)
    moved.params = values
    moved.distributions = {name: d for name, d in space.distributions().items() if name in values}
    moved.user_attrs = {k: v for k, v in trial.user_attrs.items() if not k.startswith("similitude:")}
    moved.user_attrs[ORIGIN_KEY] = list(origin)
    if FAILURE_KEY in trial.user_attrs:
        moved.user_attrs[FAILURE_KEY] = trial.user_attrs[FAILURE_KEY]
    moved.system_attrs = {}
    told = _cost_of(trial, cost)
    if told is not None:
        number = check_cost(told, f"Trial {origin[1]} of study {origin[0]!r} told")
        moved.user_attrs.update(dict.fromkeys(names, number))
    return moved


def _cost_of(trial: FrozenTrial, cost: str | Callable[[FrozenTrial], float]) -> float | None:
    if callable(cost):
        return cost(trial)
    if cost == "seconds":
        return None if trial.duration is None else trial.duration.total_seconds()
    return trial.user_attrs.get(cost)


def _names_of_cost(study: optuna.Study) -> tuple[str, ...]:
    """Return the attributes under which a study reads what its trials cost."""
    cost = study.sampler.cost if isinstance(study.sampler, CarbsSampler) else stored_cost(study)
    if cost == "seconds":
        return TOLD, SECONDS_KEY
    return (cost if isinstance(cost, str) else TOLD,)


def _names(study: optuna.Study) -> str:
    return ", ".join(direction.name.lower() for direction in study.directions)
