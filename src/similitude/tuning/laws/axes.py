"""The coordinates in which laws are straight lines: log10 of what is logarithmic, log10 odds, or the value itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from similitude.core.errors import TuningError
from similitude.tuning.space.dimensions import Choice, Dimension, Number, Value


@dataclass(frozen=True)
class Axis:
    """One ordered dimension as laws see it.

    Attributes:
        name: Name of the dimension.
        dimension: The dimension.
        transform: "log10", "log10 odds", "value" or "place" (of an ordered choice whose values are no positive numbers).
        step: A step that matters, in the coordinate.

    Example:
        >>> from similitude.tuning.space.dimensions import Log
        >>> axis = axis_of("width", Log(256, integer=True, role="scale"))
        >>> axis.coordinate(1000), axis.value(2.0)
        (3.0, 100)
    """

    name: str
    dimension: Dimension
    transform: str
    step: float

    @property
    def is_power(self) -> bool:
        """Whether a slope against log10 cost is an exponent: the value goes as a power of the cost."""
        return self.transform == "log10"

    @property
    def unit(self) -> str:
        """What a slope against log10 cost is, in words."""
        return {
            "log10": "power of the cost",
            "log10 odds": "power of the cost, of the odds",
            "value": "per decade of cost",
            "place": "places per decade of cost",
        }[self.transform]

    def coordinate(self, value: Value) -> float:
        """Return the coordinate of a value."""
        if self.transform == "place":
            assert isinstance(self.dimension, Choice)
            return float(self.dimension.values.index(value))
        assert isinstance(value, int | float)
        if self.transform == "log10":
            return math.log10(value)
        return math.log10(value / (1 - value)) if self.transform == "log10 odds" else float(value)

    def value(self, coordinate: float) -> Value:
        """Return the nearest value that the dimension can have, within its bounds."""
        dimension = self.dimension
        if isinstance(dimension, Choice):
            places = [self.coordinate(value) for value in dimension.values]
            return dimension.values[min(range(len(places)), key=lambda i: abs(places[i] - coordinate))]
        try:
            return dimension.admissible(self.real(coordinate))
        except TuningError:  # so far away that the number has no room in a float
            return dimension.from_unit(math.copysign(1e3, coordinate - self.coordinate(dimension.first)))

    def real(self, coordinate: float) -> float:
        """Return the value at a coordinate, neither rounded nor held within bounds; the place where there is none."""
        if self.transform == "log10":
            return 10.0 ** (coordinate if math.isinf(coordinate) else min(max(coordinate, -300.0), 300.0))
        if self.transform == "log10 odds":
            return 1 / (1 + 10.0 ** -min(max(coordinate, -15.0), 15.0))
        return coordinate


def axis_of(name: str, dimension: Dimension) -> Axis | None:
    """Return the axis of a dimension; None for a choice without order.

    A linear dimension of role `scale` and an ordered choice are taken by their logarithm where all their values are
    positive: sizes go as powers of the cost.

    Args:
        name: Name of the dimension.
        dimension: The dimension.
    """
    if isinstance(dimension, Choice):
        if not dimension.ordered or len(dimension.values) < 2:
            return None
        numbers = [
            v for v in dimension.values if isinstance(v, int | float) and not isinstance(v, bool) and v > 0
        ]
        if len(numbers) < len(dimension.values):
            return Axis(name, dimension, "place", 1.0)
        return Axis(name, dimension, "log10", 1.0)
    assert isinstance(dimension, Number)
    if dimension.kind == "linear":
        if dimension.role == "scale" and dimension.low is not None and dimension.low > 0:
            return Axis(name, dimension, "log10", 1.0)
        return Axis(name, dimension, "value", 1 / dimension.to_unit(dimension.center + 1.0))
    if dimension.kind == "log":
        return Axis(name, dimension, "log10", dimension.scale or 1.0)
    return Axis(name, dimension, "log10 odds", dimension.scale or 1.0)
