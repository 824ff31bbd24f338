"""A search space: named dimensions, the points in units that their values are, and what an Optuna trial is asked for."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from similitude.core.errors import TuningError
from similitude.tuning.space.dimensions import Choice, Dimension, Value, dimension_from_dict
from similitude.tuning.trials.failures import FAILURE_KEY, FailureKind, TrialFailure, check_kind

_SAME = 1e-9  # units within which two coordinates are of one value


class Space(Mapping[str, Dimension]):
    """What is tuned: dimensions by name, in the order in which they are given.

    Args:
        dimensions: Dimensions by name, for names that are no Python words.
        named: Dimensions by name.

    Raises:
        TuningError: There is no dimension, a name is given twice, or a condition is on what is not there.

    Example:
        >>> from similitude.tuning.space.dimensions import Choice, Linear, Log
        >>> momentum = Linear(0.9, low=0, high=1, when={"optimizer": "sgd"})
        >>> space = Space(lr=Log(1e-3), optimizer=Choice("adam", "sgd"), momentum=momentum)
        >>> space.center
        {'lr': 0.001, 'optimizer': 'adam'}
        >>> space.point({"lr": 0.01, "optimizer": "sgd", "momentum": 0.9})
        array([1., 1., 0.])
    """

    def __init__(self, dimensions: Mapping[str, Dimension] | None = None, /, **named: Dimension) -> None:
        if not isinstance(dimensions, Mapping | None):
            raise TuningError(
                f"Space({dimensions!r:.60}): give every dimension its name, e.g. Space(lr=Log(3e-3))."
            )
        given = dict(dimensions or {})
        if twice := sorted(set(given) & set(named)):
            raise TuningError(f"The space has {', '.join(twice)} twice. Give every name once.")
        self._dimensions = given | named
        if not self._dimensions:
            raise TuningError("The space is empty: give at least one dimension, e.g. Space(lr=Log(3e-3)).")
        earlier: dict[str, Dimension] = {}
        for name, dim in self._dimensions.items():
            if not isinstance(dim, Dimension):
                raise TuningError(
                    f"{name}={dim!r} is no dimension. Say how its values lie: {name}=sim.Log({dim!r}), sim.Linear, "
                    "sim.Logit or sim.Choice."
                )
            _check_condition(name, dim, earlier)
            earlier[name] = dim

    def __getitem__(self, name: str) -> Dimension:
        return self._dimensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dimensions)

    def __len__(self) -> int:
        return len(self._dimensions)

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={dim!r}' for name, dim in self.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and list(self.items()) == list(other.items())

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, in order."""
        return tuple(self._dimensions)

    @property
    def categorical(self) -> np.ndarray:
        """Which dimensions have values without order; bool, shape (d,)."""
        return np.array([dim.categorical for dim in self.values()], bool)

    @property
    def bounds(self) -> np.ndarray:
        """Bounds in units, shape (d, 2); infinite where there are none."""
        return np.array([dim.bounds for dim in self.values()], float)

    @property
    def center(self) -> dict[str, Value]:
        """The configuration at which the search begins."""
        return self.values_at(np.zeros(len(self)))

    def of_role(self, *roles: str) -> tuple[str, ...]:
        """Return the names of the dimensions that have one of these roles."""
        return tuple(name for name, dim in self.items() if dim.role in roles)

    def active(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the dimensions that are there with these values, in order."""
        found: list[str] = []
        for name, dim in self.items():
            if all(
                parent in found and values.get(parent) in _allowed(wanted)
                for parent, wanted in (dim.when or {}).items()
            ):
                found.append(name)
        return tuple(found)

    def point(self, values: Mapping[str, Any]) -> np.ndarray:
        """Return the coordinates of a configuration, shape (d,) in units; 0 where a dimension is not there.

        Raises:
            TuningError: A value is missing, or is none of its dimension.
        """
        active = self.active(values)
        if missing := [name for name in active if name not in values]:
            raise TuningError(
                f"The configuration {dict(values)} lacks {', '.join(missing)} of the space {self.names}."
            )
        coordinates = []
        for name, dim in self.items():
            try:
                coordinates.append(dim.to_unit(values[name]) if name in active else 0.0)
            except TuningError as error:
                raise TuningError(f"{name}: {error}") from None
        return np.array(coordinates)

    def values_at(self, point: np.ndarray) -> dict[str, Value]:
        """Return the nearest configuration that there is to a point; only the dimensions that are there."""
        values: dict[str, Value] = {}
        for (name, dim), unit in zip(self.items(), point, strict=True):
            conditions = (dim.when or {}).items()
            if all(parent in values and values[parent] in _allowed(wanted) for parent, wanted in conditions):
                values[name] = dim.from_unit(float(unit))
        return values

    def snapped(self, points: np.ndarray) -> np.ndarray:
        """Return the points of the nearest configurations that there are; shape (..., d) as given."""
        exact = np.zeros_like(points)
        there: dict[str, np.ndarray] = {}
        for j, (name, dim) in enumerate(self.items()):
            there[name] = np.ones(points.shape[:-1], bool)
            for parent, wanted in (dim.when or {}).items():
                column = exact[..., self.names.index(parent)]
                units = [self[parent].to_unit(value) for value in _allowed(wanted)]
                there[name] &= there[parent] & (np.abs(column[..., None] - units) < _SAME).any(-1)
            exact[..., j] = np.where(there[name], dim.snapped(points[..., j]), 0.0)
        return exact

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the dimensions as Optuna knows them."""
        return {name: dim.distribution() for name, dim in self.items()}

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Ask a trial of any Optuna sampler for a configuration: the dimensions that are there, by name.

        Args:
            trial: The trial of the objective.
        """
        values: dict[str, Any] = {}
        for name, dim in self.items():
            if name not in self.active(values):
                continue
            distribution = dim.distribution()
            if isinstance(distribution, IntDistribution):
                value = trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
            elif isinstance(distribution, FloatDistribution):
                value = trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
            else:
                assert isinstance(dim, Choice)
                value = trial.suggest_categorical(name, dim.values)
            values[name] = dim.admissible(value) if isinstance(distribution, IntDistribution) else value
        return values

    def fail(self, trial: BaseTrial, kind: FailureKind, reason: str = "") -> NoReturn:
        """End a trial that has no value, and say why, so that the search learns from it.

        Args:
            trial: The trial of the objective.
            kind: `nan`, `diverged`, `oom`, `cap`: the configuration's fault; `machine`: run it again, learn nothing.
            reason: More words, for whoever reads the study.

        Raises:
            TrialFailure: Always; Optuna records the trial as pruned and goes on.
            TuningError: There is no such kind.
        """
        trial.set_user_attr(FAILURE_KEY, check_kind(kind))
        if reason:
            trial.set_user_attr(f"{FAILURE_KEY}:reason", reason)
        raise TrialFailure(kind, reason)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and TOML: the settings of every dimension by name."""
        return {name: dim.to_dict() for name, dim in self.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Space:
        """Read a space from plain data, as `to_dict` returns.

        Raises:
            TuningError: A dimension is malformed; it is named.
        """
        read: dict[str, Dimension] = {}
        for name, given in data.items():
            if not isinstance(given, Mapping):
                raise TuningError(
                    f'{name} = {given!r} is no dimension: give a table, e.g. {name} = {{kind = "log", center = 0.003}}.'
                )
            try:
                read[name] = dimension_from_dict(given)
            except TuningError as error:
                raise TuningError(f"{name}: {error}") from None
        return cls(read)

    @classmethod
    def read(cls, path: str | Path) -> Space:
        """Read a space from a TOML file, one table per dimension: `kind` and the settings of that kind.

        Raises:
            TuningError: The file is not there, is no TOML, or a dimension is malformed.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise TuningError(f"The space {path} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TuningError(
                f'{path} is no TOML file ({error}). A dimension is a table, e.g.\n[lr]\nkind = "log"\ncenter = 0.003'
            ) from error
        try:
            return cls.from_dict(data)
        except TuningError as error:
            raise TuningError(f"{path}: {error}") from None


def _allowed(wanted: Any) -> tuple[Any, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _check_condition(name: str, dim: Dimension, earlier: Mapping[str, Dimension]) -> None:
    for parent, wanted in (dim.when or {}).items():
        if parent not in earlier:
            raise TuningError(
                f"{name} is there when {parent} is {wanted!r}, and there is no {parent} before it. Put {parent} first."
            )
        for value in _allowed(wanted):
            try:
                earlier[parent].to_unit(value)
            except TuningError as error:
                raise TuningError(f"{name} is there when {parent} is {value!r}: {error}") from None
