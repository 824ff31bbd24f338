"""What every dimension of a search space has: its values in the units in which the search takes its steps.

A unit is a step that matters: a decade of a logarithmic dimension, a factor of 10 in the odds of a logit one. The search
begins at the center, which is 0 in units, so that a change of the user's units changes nothing (paper 10, Section 3).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
from optuna.distributions import (
    BaseDistribution,
)

from similitude.core.errors import TuningError

Role = Literal["scale", "transfer", "free"]
"""`scale`: what is made larger (width, depth, tokens); `transfer`: what should stay as it is meanwhile, as the learning
rate under muP; `free`: anything else."""

Value = float | int | str | bool | None
When = Mapping[str, Value | tuple[Value, ...]]

SPAN = 3.0
"""Units between the bounds of a linear dimension, and between the ends of an ordered one."""


def plain(value: Any) -> Any:
    """Return a number of numpy as Python's own, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


class Dimension(ABC):
    """One hyperparameter: its values, where the search begins, its role, and when it is there at all.

    Attributes:
        kind: Its name in files.
        role: See `Role`.
        when: Values of earlier dimensions with which it is there; always where None.
    """

    kind: ClassVar[str]
    role: Role
    when: When | None

    @property
    def categorical(self) -> bool:
        """Whether values have no order, so that their units are only names."""
        return False

    @property
    @abstractmethod
    def first(self) -> Value:
        """The value at which the search begins."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Bounds in units; infinite where there are none."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Return the coordinate of a value.

        Raises:
            TuningError: The dimension cannot have such a value.
        """

    @abstractmethod
    def from_unit(self, unit: float) -> Value:
        """Return the value nearest to a coordinate that the dimension can have."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """Return the dimension as Optuna knows it, with finite bounds."""

    @abstractmethod
    def snapped(self, units: np.ndarray) -> np.ndarray:
        """Return the coordinates of the values nearest to some coordinates, shape as given."""

    def admissible(self, value: Any) -> Value:
        """Return the nearest value that the dimension can have."""
        return self.from_unit(self.to_unit(value))

    def reach(self, units: np.ndarray) -> np.ndarray:
        """Return how far it is from coordinates to the nearest other value, in units; 0 where values are dense."""
        return np.zeros_like(units)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and TOML; see `dimension_from_dict`."""
        given: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(cast("Any", self))
            if f.default is MISSING or getattr(self, f.name) != f.default
        }
        if given.get("when"):
            given["when"] = {
                name: list(v) if isinstance(v, tuple) else v for name, v in given["when"].items()
            }
        if "values" in given:
            given["values"] = list(given["values"])
        return {"kind": self.kind, **given}

    def _check_role(self) -> None:
        if self.role not in get_args(Role):
            raise TuningError(f"role={self.role!r}: the roles are {', '.join(map(repr, get_args(Role)))}.")
        if self.when is not None and not isinstance(self.when, Mapping):
            raise TuningError(
                f'when={self.when!r}: say when the dimension is there, e.g. when={{"optimizer": "sgd"}}.'
            )
        if self.when is not None:
            several = {name: tuple(v) if isinstance(v, list) else v for name, v in self.when.items()}
            object.__setattr__(self, "when", several)
