"""The line through measured optima on a double logarithmic scale, read off at a target, with draws of its value.

All sizes count alike, as for the shift (`similitude.studies.shift`): intervals of a few seeds are too rough for weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.seeding import numpy_generator
from similitude.studies.noise import Array
from similitude.studies.records import Optimum

LEVEL = 0.95
_TWO_SIDED = 1.959964  # standard deviations of half a 95 % interval


@dataclass(frozen=True)
class Line:
    """Draws of the best value's logarithm at several sizes, and the line through them.

    Attributes:
        x: log2 of the sizes, increasing, shape (sizes,).
        y: log2 of the best values, shape (sizes,).
        draws: Draws of `y`, independent between sizes, shape (sizes, draws).
    """

    x: Array
    y: Array
    draws: Array

    def at(self, x: float) -> tuple[float, Array]:
        """Return the line at a place, and draws of it; the draws are spread by `scatter`."""
        weights = predictor(self.x, x)
        value = float(weights @ self.y)
        return value, value + self.scatter * (weights @ self.draws - value)

    def slope(self) -> tuple[float, Array]:
        """Return the slope of the line, and draws of it."""
        centred = self.x - self.x.mean()
        weights = centred / (centred @ centred)
        value = float(weights @ self.y)
        return value, value + self.scatter * (weights @ self.draws - value)

    @property
    def scatter(self) -> float:
        """How much farther the optima are off their line than their own draws explain; 1 where not farther."""
        if len(self.x) < 3:
            return 1.0
        hat = np.stack([predictor(self.x, float(x)) for x in self.x])
        off = np.eye(len(self.x)) - hat
        expected = float(np.trace(off @ np.diag(spreads(self.draws) ** 2) @ off.T))
        squares = float(np.sum((off @ self.y) ** 2))
        return float(np.sqrt(max(1.0, squares / expected))) if expected > 0 else 1.0

    def without_last(self) -> Line:
        """Return the line through all sizes but the largest."""
        return Line(self.x[:-1], self.y[:-1], self.draws[:-1])


def line_of(optima: Sequence[Optimum]) -> Line | None:
    """Collect the optima that lie inside their grids and have intervals; None where there are fewer than two.

    Args:
        optima: Optima by increasing size.
    """
    usable = [(best, best.lr) for best in optima if best.bracketed and best.lr is not None and best.draws]
    if len(usable) < 2:
        return None
    # Curves of sizes that are drawn alike would be drawn with the same numbers: shuffled, they are independent.
    draws = [
        numpy_generator(best.size, "forecast").permutation(np.array(best.draws, np.float64))
        for best, _ in usable
    ]
    return Line(
        np.log2([best.size for best, _ in usable]), np.log2([lr for _, lr in usable]), np.stack(draws)
    )


def predictor(x: Array, target: float) -> Array:
    """Return the weights by which least squares through values at `x` predicts the one at `target`.

    Example:
        >>> predictor(np.array([0.0, 1.0]), 3.0)
        array([-2.,  3.])
    """
    centred = x - x.mean()
    return 1 / len(x) + (target - x.mean()) * centred / (centred @ centred)


def spreads(draws: Array) -> Array:
    """Return the standard deviations of normal distributions with the 95 % intervals of some draws, shape (sizes,).

    Draws have long tails where a curve says little; their intervals are what counts.
    """
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return np.asarray(high - low, np.float64) / (2 * _TWO_SIDED)


def bounds(draws: Array, value: float) -> tuple[float, float]:
    """Return the interval of some draws, which always holds the value itself."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), value), max(float(high), value)
