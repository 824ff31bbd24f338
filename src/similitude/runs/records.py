"""How a cell and its result are written on an Optuna trial, exactly, and read back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from similitude.core.errors import StudyError
from similitude.runs.grid import Cell

CELL = "similitude:cell"
LEASE = "similitude:lease:"
RESULT = "similitude:result"
REASON = "similitude:reason"


@dataclass(frozen=True)
class Result:
    """What a finished cell gave.

    Attributes:
        value: Its value, the smaller the better, bit for bit as it was given; `inf` or `nan` where the run
            diverged.
        metrics: Further numbers by name, as exact.
        trial: Number of its Optuna trial.
        curve: File of its curve, or None if it was finished without one.
    """

    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    trial: int = -1
    curve: Path | None = None


@dataclass(frozen=True)
class Status:
    """How many cells of a study are where. A failed cell waits again once the grid is populated anew."""

    waiting: int
    running: int
    finished: int
    failed: int

    @property
    def total(self) -> int:
        """All cells."""
        return self.waiting + self.running + self.finished + self.failed


def distributions(cells: Iterable[Cell]) -> dict[str, BaseDistribution]:
    """Return the range of every axis whose values are all numbers, for dashboards and samplers of Optuna.

    Floats that are all positive are on a log axis. Text, switches and None have none: Optuna refuses choices
    that grow later on, as a grid may; they become user attributes of the trials.
    """
    columns: dict[str, list[Any]] = {}
    for cell in cells:
        for name, value in cell.params:
            columns.setdefault(name, []).append(value)
    found: dict[str, BaseDistribution] = {}
    for name, values in columns.items():
        kinds = {type(value) for value in values}
        if kinds == {int}:
            found[name] = IntDistribution(min(values), max(values))
        elif kinds == {float}:
            found[name] = FloatDistribution(min(values), max(values), log=min(values) > 0)
    return found


def waiting_trial(cell: Cell, ranges: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Return the trial to create for a cell that is to be run."""
    params = {name: cell[name] for name in cell if name in ranges}
    labels = {name: cell[name] for name in cell if name not in ranges}
    return create_trial(
        state=TrialState.WAITING,
        params=params,
        distributions={name: ranges[name] for name in params},
        user_attrs={CELL: cell.key, **labels},
    )


def canonical(trials: Sequence[FrozenTrial]) -> dict[Cell, FrozenTrial]:
    """Return the trial that counts for every cell: the first finished one, else the first not failed.

    Cells whose trials have all failed are mapped to the last of them. Trials of others than a ledger are left
    out.
    """
    chosen: dict[str, FrozenTrial] = {}
    for trial in trials:
        key = trial.user_attrs.get(CELL)
        if key is None:
            continue
        rival = chosen.get(key)
        if rival is None or _rank(trial) < _rank(rival) or (failed(trial) and failed(rival)):
            chosen[key] = trial
    return {Cell.from_key(key): trial for key, trial in chosen.items()}


def failed(trial: FrozenTrial) -> bool:
    """Whether a trial ended without a result."""
    return trial.state in (TrialState.FAIL, TrialState.PRUNED)


def leases(trial: FrozenTrial) -> dict[str, Any]:
    """Return the leases stored on a trial, by token; None for one that was given back."""
    return {k.removeprefix(LEASE): v for k, v in trial.user_attrs.items() if k.startswith(LEASE)}


def objective(value: float) -> float:
    """Return what Optuna is told: it accepts no nan, so a run that ended in nan is infinitely bad."""
    return math.inf if math.isnan(value) else value


def encode(value: float, metrics: Mapping[str, float], *, curve: bool) -> dict[str, Any]:
    """Return a result as JSON; numbers that JSON has not (inf, nan) are text."""
    return {
        "value": _number(value),
        "metrics": {name: _number(v) for name, v in metrics.items()},
        "curve": curve,
    }


def decode(trial: FrozenTrial, *, curve: Path) -> Result:
    """Read the result of a finished trial.

    Args:
        trial: The trial.
        curve: Where its curve is if it has one.

    Raises:
        StudyError: The trial was finished by something else than a ledger.
    """
    stored = trial.user_attrs.get(RESULT)
    if stored is None:
        raise StudyError(
            f"Trial {trial.number} is finished but has no {RESULT!r}: it was not finished by similitude. "
            "Delete it, or run the study under another name."
        )
    metrics = {name: float(v) for name, v in stored["metrics"].items()}
    return Result(float(stored["value"]), metrics, trial.number, curve if stored["curve"] else None)


def _rank(trial: FrozenTrial) -> int:
    return 0 if trial.state == TrialState.COMPLETE else 2 if failed(trial) else 1


def _number(value: float) -> float | str:
    value = float(value)
    return value if math.isfinite(value) else repr(value)
