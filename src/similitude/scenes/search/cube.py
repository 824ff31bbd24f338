"""The unit cube and a search space: which settings a point of it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from similitude.scenes.controls.control import Value
from similitude.tuning.space.dimensions import Choice, Dimension, Linear
from similitude.tuning.space.space import Space


def settings_at(space: Space, point: Sequence[float] | np.ndarray) -> dict[str, Value]:
    """Return the settings at a point of the unit cube: uniform points give uniform values on each dimension's scale.

    Args:
        space: The space, of d dimensions.
        point: Coordinates, each from 0 to 1, shape (d,).

    Example:
        >>> from similitude.tuning.space.dimensions import Log
        >>> settings_at(Space(power=Log(10.0, low=1, high=100), color=Choice("red", "green")), [0.25, 0.75])
        {'power': 3.1622776601683795, 'color': 'green'}
    """
    values = {name: value_at(dim, float(u)) for (name, dim), u in zip(space.items(), point, strict=True)}
    return {name: values[name] for name in space.active(values)}


def value_at(dimension: Dimension, share: float) -> Value:
    """Return the value below which a share of a dimension lies; whole numbers and choices have equal shares."""
    if isinstance(dimension, Choice):
        return dimension.values[min(int(share * len(dimension.values)), len(dimension.values) - 1)]
    if isinstance(dimension, Linear) and dimension.integer and dimension.multiple_of == 1:
        low, high = (int(dimension.from_unit(bound)) for bound in dimension.bounds)  # type: ignore[arg-type]
        return min(low + int(share * (high - low + 1)), high)
    low, high = dimension.bounds
    return dimension.from_unit(low + share * (high - low))


def values_over(dimension: Dimension, count: int) -> list[Value]:
    """Return values that lie evenly over a dimension, ends included; all values of a choice, and none twice.

    Example:
        >>> values_over(Linear(0.0, low=-1, high=1), 3), values_over(Linear(1, low=0, high=2, integer=True), 9)
        ([-1.0, 0.0, 1.0], [0, 1, 2])
    """
    if isinstance(dimension, Choice):
        return list(dimension.values)
    shares = [0.5] if count == 1 else np.linspace(0.0, 1.0, count)
    low, high = dimension.bounds
    return list(dict.fromkeys(dimension.from_unit(low + float(u) * (high - low)) for u in shares))


def merged(space: Space, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the settings that are there with these values."""
    return {name: values[name] for name in space.active(values)}
