"""Dimensions of named values, without order or with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
)

from similitude.core.errors import TuningError
from similitude.tuning.space.dimension import SPAN, Dimension, Role, Value, When, plain


@dataclass(frozen=True, init=False)
class Choice(Dimension):
    """One of several values. The search begins with the first, or with `center`.

    Attributes:
        values: Strings, numbers, True, False or None; at least one, no two alike.
        role: See `Role`.
        ordered: Whether neighbours in the list are alike (an ordinal dimension: `Choice(16, 32, 64, ordered=True)`).
        center: The value that the search begins with.
        when: As for numbers.

    Raises:
        TuningError: There are no values, two are alike, or one is of another type.

    Example:
        >>> act = Choice("relu", "gelu")
        >>> act.first, act.from_unit(1.0)
        ('relu', 'gelu')
    """

    kind: ClassVar[str] = "choice"

    values: tuple[Value, ...]
    role: Role = "free"
    ordered: bool = False
    center: Value = None
    when: When | None = None

    def __init__(
        self,
        *values: Value,
        role: Role = "free",
        ordered: bool = False,
        center: Value = None,
        when: When | None = None,
    ) -> None:
        for name, given in (
            ("values", tuple(map(plain, values))),
            ("role", role),
            ("ordered", ordered),
            ("center", plain(center)),
            ("when", when),
        ):
            object.__setattr__(self, name, given)
        self._check_role()
        if not values:
            raise TuningError('A choice needs at least one value, e.g. Choice("relu", "gelu").')
        values, center = self.values, self.center
        for value in values:
            if value != value:
                raise TuningError(f"The choices {values} have a nan, which is not even equal to itself.")
            if not isinstance(value, str | int | float | bool | None):
                raise TuningError(
                    f"{value!r} cannot be a choice: Optuna stores strings, numbers, True, False and None. Choose by a "
                    "name, and look the object up in your objective."
                )
        if len(set(values)) < len(values):
            raise TuningError(
                f"The choices {values} are not all different: 1, 1.0 and True are one to Python and Optuna, and so are "
                "0, 0.0 and False. Name them by strings."
            )
        if center is not None and center not in values:
            raise TuningError(f"center={center!r} is none of the choices {values}.")

    @property
    def categorical(self) -> bool:
        """Whether the values have no order."""
        return not self.ordered

    @property
    def first(self) -> Value:
        """The value that the search begins with."""
        return self.values[0] if self.center is None else self.center

    @property
    def bounds(self) -> tuple[float, float]:
        """Coordinates of the first and the last value."""
        return self._coordinate(0), self._coordinate(len(self.values) - 1)

    def to_unit(self, value: Any) -> float:
        """Return the coordinate of a value: its place in the list, counted from the value that the search begins with."""
        if value not in self.values:
            raise TuningError(f"{value!r} is none of the choices {self.values}.")
        return self._coordinate(self._place(value))

    def from_unit(self, unit: float) -> Value:
        """Return the value at the nearest place."""
        place = round(unit / self._spacing()) + self._place(self.first)
        return self.values[min(max(place, 0), len(self.values) - 1)]

    def snapped(self, units: np.ndarray) -> np.ndarray:
        """Return the coordinates of the values nearest to some coordinates."""
        return np.clip(np.round(units / self._spacing()) * self._spacing(), *self.bounds)

    def reach(self, units: np.ndarray) -> np.ndarray:
        """Return how far it is to the next value, in units."""
        return np.full_like(units, self._spacing() if len(self.values) > 1 else 0.0)

    def distribution(self) -> BaseDistribution:
        """Return the dimension as Optuna knows it."""
        return CategoricalDistribution(self.values)

    def _place(self, value: Value) -> int:
        return self.values.index(value)

    def _coordinate(self, place: int) -> float:
        return (place - self._place(self.first)) * self._spacing()

    def _spacing(self) -> float:
        return min(1.0, SPAN / max(1, len(self.values) - 1)) if self.ordered else 1.0
