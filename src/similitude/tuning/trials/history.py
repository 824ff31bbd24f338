"""What a study has shown so far, as the search and the laws read it: points, values, costs, failures."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from similitude.core.errors import TuningError
from similitude.tuning.space.space import Space
from similitude.tuning.trials.failures import FAILURE_KEY, learnt

SPACE_KEY = "similitude:space"
"""User attribute of a study that holds its space."""

PARAMS_KEY = "similitude:params"
"""System attribute of a running trial that holds all of its values, as JSON: Optuna stores them one by one, as they are
asked for."""

SECONDS_KEY = "similitude:seconds"
"""User attribute of a trial: how long its objective ran, where an engine of ours measured it. Optuna's duration has the
time in which the search thought about the trial too."""

LEASE_KEY = "similitude:lease"
"""User attribute of a running trial: until when, in seconds since 1970, its process counts as alive."""

Cost = str | Callable[[Mapping[str, Any]], float]
"""What a trial costs: the name of the user attribute that holds it, "seconds" for measured time, or a function of the
configuration."""


@dataclass(frozen=True)
class Failed:
    """A configuration that failed, by its own fault.

    Attributes:
        point: In units, shape (d,).
        kind: See `FailureKind`.
        cost: What it cost; nan where nobody said.
        number: Of the trial.
    """

    point: np.ndarray
    kind: str
    cost: float
    number: int


@dataclass(frozen=True)
class History:
    """The trials of a study that say something.

    Attributes:
        space: The space.
        points: Configurations that have a value, in units, shape (n, d).
        values: Their values, shape (n,).
        costs: What they cost, positive, shape (n,).
        numbers: Numbers of their trials, ascending, shape (n,).
        failures: Configurations that failed by their own fault.
        pending: Configurations that are being run, shape (m, d).
        minimize: Whether small values are good.
        left_out: Numbers of finished trials that say nothing, with the reason.
    """

    space: Space
    points: np.ndarray
    values: np.ndarray
    costs: np.ndarray
    numbers: np.ndarray
    failures: tuple[Failed, ...] = ()
    pending: np.ndarray | None = None
    minimize: bool = True
    left_out: tuple[tuple[int, str], ...] = ()

    @property
    def signed(self) -> np.ndarray:
        """Values of which larger ones are better, shape (n,)."""
        return -self.values if self.minimize else self.values

    @property
    def waiting(self) -> np.ndarray:
        """Configurations that are being run, shape (m, d)."""
        return np.empty((0, len(self.space))) if self.pending is None else self.pending

    @property
    def spent(self) -> float:
        """What all trials cost together, failed ones included."""
        return float(self.costs.sum()) + math.fsum(f.cost for f in self.failures if math.isfinite(f.cost))

    @classmethod
    def from_study(
        cls,
        study: optuna.Study,
        space: Space | None = None,
        *,
        cost: Cost = "cost",
        exclude: int | None = None,
        now: float | None = None,
    ) -> History:
        """Read a study.

        Finished trials with a value and a cost count, pruned ones with their last intermediate value if they said their
        cost. Failures that are the machine's fault do not count, nor running trials whose lease has expired.

        Args:
            study: A study with one objective, by whatever sampler.
            space: Its space; the one that it holds where None.
            cost: What a trial costs. Where the attribute is named and no trial has it, seconds are taken.
            exclude: Number of a trial that is left out: the one that is asked for.
            now: Seconds since 1970; the clock where None.

        Raises:
            TuningError: The study has several objectives or no space, or a cost is not a finite number above 0.
        """
        if len(study.directions) != 1:
            raise TuningError(
                f"The study has {len(study.directions)} objectives. Return one value, and tell the cost by "
                'trial.set_user_attr("cost", c): it is the other axis of the front.'
            )
        space = stored_space(study) if space is None else space
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != exclude]
        finished = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if isinstance(cost, str) and cost != "seconds" and not any(cost in t.user_attrs for t in finished):
            cost = "seconds"
        rows: list[tuple[np.ndarray, float, float, int]] = []
        failures: list[Failed] = []
        pending: list[np.ndarray] = []
        left: list[tuple[int, str]] = []
        now = time.time() if now is None else now
        for trial in trials:
            values = _values(trial)
            point = _point(space, values)
            if point is None:
                if trial.state.is_finished():
                    left.append((trial.number, "it has no configuration of this space"))
                continue
            kind = trial.user_attrs.get(FAILURE_KEY)
            broken = trial.value is not None and not math.isfinite(trial.value)
            if trial.state in (TrialState.RUNNING, TrialState.WAITING):
                if trial.user_attrs.get(LEASE_KEY, math.inf) > now:
                    pending.append(point)
            elif learnt(kind) or (kind is None and broken):
                paid = _cost(trial, values, cost, required=False)
                failures.append(Failed(point, kind or "diverged", paid, trial.number))
            elif kind == "machine" or trial.state == TrialState.FAIL:
                left.append((trial.number, "its machine failed"))
            elif trial.value is None:
                left.append((trial.number, "it was pruned before it reported a value"))
            else:
                paid = _cost(trial, values, cost, required=trial.state == TrialState.COMPLETE)
                if math.isnan(paid):
                    left.append((trial.number, "it told no cost"))
                else:
                    rows.append((point, trial.value, paid, trial.number))
        return cls(
            space=space,
            points=np.array([r[0] for r in rows]).reshape(len(rows), len(space)),
            values=np.array([r[1] for r in rows], float),
            costs=np.array([r[2] for r in rows], float),
            numbers=np.array([r[3] for r in rows], int),
            failures=tuple(failures),
            pending=np.array(pending).reshape(len(pending), len(space)),
            minimize=study.direction != StudyDirection.MAXIMIZE,
            left_out=tuple(left),
        )


def stored_space(study: optuna.Study) -> Space:
    """Return the space that a study holds.

    Raises:
        TuningError: It holds none.
    """
    data = study.user_attrs.get(SPACE_KEY)
    if data is None:
        raise TuningError(
            f"Study {study.study_name!r} does not say what its space is: CarbsSampler has run no trial of it. Give the "
            "space: which parameters are logarithmic, and which role they have."
        )
    return Space.from_dict(data)


def check_cost(cost: Any, where: str) -> float:
    """Return a cost that is a finite number above 0.

    Args:
        cost: The cost.
        where: Whose it is, for the error.

    Raises:
        TuningError: It is none: its logarithm, which the search models, would not be there.
    """
    told = as_number(cost)
    if not 0 < told < math.inf:
        raise TuningError(
            f"{where} cost {cost!r}. A cost is a finite number above 0, in any unit: seconds, dollars, FLOPs. Where a "
            "trial costs nothing, say what its least cost is."
        )
    return told


def as_number(told: Any) -> float:
    """Return what a trial told as a number, numpy's included; nan where it is none.

    Example:
        >>> as_number(np.float32(0.5)), as_number("dear")
        (0.5, nan)
    """
    if isinstance(told, bool) or not isinstance(told, int | float | np.integer | np.floating):
        return math.nan
    try:
        return float(told)
    except OverflowError:  # a whole number of more than 300 digits
        return math.inf


def _values(trial: FrozenTrial) -> dict[str, Any]:
    """Return the configuration of a trial, of a running or waiting one as far as it is known."""
    values = dict(trial.params)
    if not trial.state.is_finished():
        stored = trial.system_attrs.get(PARAMS_KEY)
        values = trial.system_attrs.get("fixed_params", {}) | (json.loads(stored) if stored else {}) | values
    return values


def _point(space: Space, values: Mapping[str, Any]) -> np.ndarray | None:
    try:
        return space.point(values)
    except TuningError:
        return None


def _cost(trial: FrozenTrial, values: Mapping[str, Any], cost: Cost, *, required: bool) -> float:
    """Return what a trial cost; nan where it told nothing."""
    where = f"Trial {trial.number} told"
    if callable(cost):
        return check_cost(cost(values), f"The cost function gave trial {trial.number}, {dict(values)}, the")
    if cost == "seconds":
        seconds = trial.user_attrs.get(SECONDS_KEY)
        if seconds is None:
            seconds = trial.duration.total_seconds() if trial.duration is not None else math.nan
        return max(seconds, 1e-6)  # the clock may not have moved
    told = trial.user_attrs.get(cost)
    if told is None:
        return math.nan
    if not required and not 0 < as_number(told) < math.inf:
        return math.nan
    return check_cost(told, where)
