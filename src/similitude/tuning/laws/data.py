"""What the laws are fitted to: coordinates, losses and costs of a history, what of it varies, and its resamples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from similitude.core.errors import NotEnoughEvidenceError, TuningError
from similitude.core.seeding import numpy_generator
from similitude.tuning.laws.axes import Axis, axis_of
from similitude.tuning.trials.history import History

LEAST_TRIALS = 15
"""With fewer trials no interval of an exponent says anything."""

LEAST_SPREAD = 0.1
"""Standard deviation in steps (decades) below which a dimension has hardly varied."""

LEAST_DECADES = 1.0
"""Decades of cost below which a slope against the cost is not to be trusted."""

STRATUM = 8
"""Trials of neighbouring cost that a resample draws from one another."""


class TooFewTrialsError(TuningError, NotEnoughEvidenceError):
    """A study has too few trials for scaling laws yet."""


@dataclass(frozen=True)
class LawData:
    """Trials as laws see them: n trials, d axes that vary, h choices without order.

    Attributes:
        axes: The ordered dimensions that vary.
        coordinates: Shape (n, d), see `Axis`; the middle of the others where a dimension is not there.
        active: Whether the dimension is there, bool, shape (n, d).
        choices: Name and values of each choice without order of which several values were tried.
        levels: Which of its values each trial has, shape (n, h); -1 where the choice is not there.
        values: Losses, smaller is better, shape (n,); values that are maximized have their sign turned.
        log_costs: log10 of the costs, shape (n,).
        floored: Whether no loss can be below 0: all are positive, and small ones are good.
        notes: What cannot be told from these trials, and why.
        unvaried: Names of the ordered dimensions that hardly varied.
    """

    axes: tuple[Axis, ...]
    coordinates: np.ndarray
    active: np.ndarray
    choices: tuple[tuple[str, tuple[object, ...]], ...]
    levels: np.ndarray
    values: np.ndarray
    log_costs: np.ndarray
    floored: bool
    notes: tuple[str, ...]
    unvaried: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def steps(self) -> np.ndarray:
        """A step that matters of every axis, shape (d,)."""
        return np.array([axis.step for axis in self.axes])

    def of_role(self, role: str) -> np.ndarray:
        """Return which axes have a role; bool, shape (d,)."""
        return np.array([axis.dimension.role == role for axis in self.axes], bool)

    def subset(self, kept: np.ndarray) -> LawData:
        """Return the data of some trials.

        Args:
            kept: Which trials, bool, shape (n,).
        """
        return LawData(
            self.axes,
            self.coordinates[kept],
            self.active[kept],
            self.choices,
            self.levels[kept],
            self.values[kept],
            self.log_costs[kept],
            self.floored,
            self.notes,
            self.unvaried,
        )


def law_data(history: History) -> LawData:
    """Prepare a history for the laws.

    Args:
        history: Its trials that have a value.

    Raises:
        TooFewTrialsError: There are fewer than 15.
        TuningError: All cost the same, or no dimension varies.
    """
    n = len(history.values)
    if n < LEAST_TRIALS:
        failed = f" ({len(history.failures)} more failed)" if history.failures else ""
        raise TooFewTrialsError(
            f"{n} finished trials{failed} have a value and a cost; scaling laws need at least {LEAST_TRIALS}. Run "
            f"{LEAST_TRIALS - n} more, spread over the cost."
        )
    log_costs = np.log10(history.costs)
    decades = float(np.ptp(log_costs))
    if decades < 0.05:
        raise TuningError(
            f"All {n} trials cost the same ({history.costs.min():.4g} to {history.costs.max():.4g}); a law against the "
            "cost needs trials of different costs, best over two decades."
        )
    notes = []
    if decades < LEAST_DECADES:
        notes.append(
            f"The costs span {decades:.2f} decades ({history.costs.min():.3g} to {history.costs.max():.3g}): exponents "
            f"over less than {LEAST_DECADES:g} are hardly identified. Run cheaper or dearer trials."
        )
    configurations = [history.space.values_at(point) for point in history.points]
    axes, columns, present, unvaried = [], [], [], []
    choices, levels = [], []
    for name, dimension in history.space.items():
        there = np.array([name in values for values in configurations])
        axis = axis_of(name, dimension)
        if axis is None:
            found = [_place(dimension.values, v[name]) if name in v else -1 for v in configurations]  # type: ignore[attr-defined]
            if len(set(found) - {-1}) > 1:
                choices.append((name, dimension.values))  # type: ignore[attr-defined]
                levels.append(found)
            continue
        column = np.array([axis.coordinate(v[name]) if name in v else math.nan for v in configurations])
        spread = float(np.std(column[there])) / axis.step if there.sum() > 2 else 0.0
        if spread < LEAST_SPREAD:
            unvaried.append(name)
            notes.append(
                f"{name} hardly varied (standard deviation {spread:.2g} steps, at least {LEAST_SPREAD:g} are needed): "
                "its exponent is not identified."
            )
            continue
        column[~there] = np.median(column[there])
        axes.append(axis)
        columns.append(column)
        present.append(there)
    if not axes:
        raise TuningError(
            f"None of {', '.join(history.space.names)} varies in these {n} trials: there is no law to fit."
        )
    values = -history.signed
    return LawData(
        axes=tuple(axes),
        coordinates=np.stack(columns, 1),
        active=np.stack(present, 1),
        choices=tuple(choices),
        levels=np.array(levels, int).reshape(len(levels), n).T,
        values=values,
        log_costs=log_costs,
        floored=bool(history.minimize and (values > 0).all()),
        notes=tuple(notes),
        unvaried=tuple(unvaried),
    )


def _place(values: tuple[object, ...], value: object) -> int:
    return next(i for i, v in enumerate(values) if v == value and type(v) is type(value))


def unit_of(values: np.ndarray, spread: float) -> float:
    """Return what losses are divided by: their spread, or what rounding leaves of it where all are equal.

    Args:
        values: Losses.
        spread: Their spread, in any unit.
    """
    return max(spread, 1e-12 * float(np.abs(values).max())) or 1.0


def resamples(data: LawData, count: int, *, seed: int) -> np.ndarray:
    """Draw how often each trial is in each bootstrap resample; trials are drawn among those of about the same cost.

    Args:
        data: The trials.
        count: Number of resamples.
        seed: Of the draws.

    Returns:
        Integers as floats, shape (count + 1, n); the first row is all ones: the trials as they are.
    """
    n = len(data)
    generator = numpy_generator(seed, "scaling laws")
    counts = np.zeros((count + 1, n))
    counts[0] = 1
    for stratum in np.array_split(np.argsort(data.log_costs, kind="stable"), max(1, n // STRATUM)):
        drawn = generator.choice(stratum, size=(count, len(stratum)))
        for row in drawn.T:
            np.add.at(counts, (np.arange(1, count + 1), row), 1)
    return counts
