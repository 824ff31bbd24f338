"""Points of the unit cube as columns in which a surrogate measures distances: full turns close on themselves."""

from __future__ import annotations

import math

import numpy as np

from similitude.tuning.space.dimensions import Choice, Dimension, Linear
from similitude.tuning.space.space import Space

SPAN = 3.0
"""How far the ends of a range lie apart: what the priors of the tuner's Gaussian process are made for."""

_TURN = 2 * math.pi
_ROUNDED = 1e-3  # a range of 6.283 is a full turn, too


class Embedding:
    """A space as columns: a range is one column, a full turn the two of a circle of the same length, a choice one.

    Values are those of `search.cube.settings_at`; settings that are not there lie in the middle of their column.

    Args:
        space: The space, of d dimensions.

    Attributes:
        categorical: Which columns have no order, bool, shape (columns,).

    Example:
        >>> turn = Embedding(Space({"orientation.rotation_z": Linear(0.0, low=-3.1416, high=3.1416)}))
        >>> here, there, far = turn(np.array([[0.01], [0.99], [0.5]]))
        >>> bool(np.linalg.norm(here - there) < 0.1 < 0.9 < np.linalg.norm(here - far))
        True
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.periods = {name: period_of(name, dim) for name, dim in space.items()}
        self.categorical = np.array(
            [dim.categorical for name, dim in space.items() for _ in range(2 if self.periods[name] else 1)],
            bool,
        )

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the columns of points of the unit cube of shape (N, d), shape (N, columns)."""
        columns: list[np.ndarray] = []
        there: dict[str, np.ndarray] = {}
        levels: dict[str, np.ndarray] = {}
        for share, (name, dim) in zip(np.asarray(points, float).T, self.space.items(), strict=True):
            there[name] = np.ones(len(share), bool)
            for parent, wanted in (dim.when or {}).items():
                allowed = wanted if isinstance(wanted, tuple) else (wanted,)
                values = [self._level(parent, value) for value in allowed]
                there[name] &= there[parent] & np.isin(levels[parent], values)
            count = steps(dim)
            level = share if count is None else np.minimum(np.floor(share * count), count - 1)
            levels[name] = level
            if dim.categorical:
                columns.append(np.where(there[name], level, -1.0))
                continue
            u = level if count is None else (level / (count - 1) if count > 1 else np.full_like(level, 0.5))
            if period := self.periods[name]:
                assert isinstance(dim, Linear)
                angle = _TURN * (dim.low + u * (dim.high - dim.low)) / period  # type: ignore[operator]
                columns.extend(
                    np.where(there[name], SPAN / _TURN * wave, 0.0) for wave in (np.cos(angle), np.sin(angle))
                )
            else:
                columns.append(np.where(there[name], SPAN * (u - 0.5), 0.0))
        return np.stack(columns, 1)

    def _level(self, name: str, value: object) -> float:
        dim = self.space[name]
        if isinstance(dim, Choice):
            return float(dim.values.index(value))  # type: ignore[arg-type]
        low, high = dim.bounds
        share = (dim.to_unit(value) - low) / (high - low) if high > low else 0.0
        count = steps(dim)
        return share if count is None else round(share * (count - 1))


def steps(dimension: Dimension) -> int | None:
    """Return how many values a dimension has in the unit cube; None where they are dense."""
    if isinstance(dimension, Choice):
        return len(dimension.values)
    if isinstance(dimension, Linear) and dimension.integer and dimension.multiple_of == 1:
        low, high = (int(dimension.from_unit(bound)) for bound in dimension.bounds)  # type: ignore[arg-type]
        return high - low + 1
    return None


def period_of(name: str, dimension: Dimension) -> float | None:
    """Return after how much a setting is what it was, where its range goes all the way round; None for others.

    Args:
        name: "instance.setting"; rotations are in radians, hues in turns.
        dimension: Its range.
    """
    setting = name.rpartition(".")[2]
    period = _TURN if setting.startswith("rotation") else 1.0 if setting == "hue" else None
    if period is None or not isinstance(dimension, Linear) or dimension.low is None or dimension.high is None:
        return None
    return period if dimension.high - dimension.low >= period * (1 - _ROUNDED) else None
