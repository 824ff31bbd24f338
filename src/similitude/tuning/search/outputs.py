"""Values as the surrogate sees them: of unit variance, and with bad values drawn together, however bad they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_STEEPEST = math.e  # a diverged loss weighs no more, or the search would only flee from it


@dataclass(frozen=True)
class Scaling:
    """A rising map of values: linear above their median, logarithmic below it, so that one diverged loss does not hide
    all differences between good ones.

    Attributes:
        middle: The median, which is mapped to `shift` below zero.
        unit: Distance from the median to the best value.
        shift: Mean of the mapped values.
        spread: Their standard deviation.
    """

    middle: float
    unit: float
    shift: float
    spread: float

    @classmethod
    def of(cls, values: np.ndarray) -> Scaling:
        """Find the map for values of which larger ones are better, shape (n,), n at least 1.

        Example:
            >>> values = np.array([-1e9, 1.0, 2.0, 3.0])
            >>> scaled = Scaling.of(values)(values)
            >>> bool((np.diff(scaled) > 0).all()), round(float(scaled.std()), 6)
            (True, 1.0)
        """
        middle = float(np.median(values))
        unit = float(values.max()) - middle or float(np.ptp(values)) or 1.0
        mapped = _drawn(values, middle, unit)
        return cls(middle, unit, float(mapped.mean()), float(mapped.std()) or 1.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Map values."""
        return (_drawn(values, self.middle, self.unit) - self.shift) / self.spread

    def steepness(self, mapped: float) -> float:
        """Return how many units of value one mapped unit is worth there, 1 above the median, and at most e.

        Example:
            >>> scaling = Scaling.of(np.array([-1e9, 1.0, 2.0, 3.0]))
            >>> [round(scaling.steepness(float(scaling(v))), 1) for v in (3.0, 1.0, 0.75, -1e9)]
            [1.0, 1.3, 1.5, 2.7]
        """
        return min(math.exp(max(0.0, -(mapped * self.spread + self.shift))), _STEEPEST)

    def back(self, mapped: np.ndarray) -> np.ndarray:
        """Return the values that are mapped there.

        Example:
            >>> scaling = Scaling.of(np.array([0.0, 1.0, 4.0]))
            >>> scaling.back(scaling(np.array([-5.0, 2.0]))).round(9)
            array([-5.,  2.])
        """
        z = np.asarray(mapped) * self.spread + self.shift
        return self.middle + self.unit * np.where(z > 0, z, -np.expm1(np.maximum(-z, 0)))


def _drawn(values: np.ndarray, middle: float, unit: float) -> np.ndarray:
    z = (np.asarray(values, float) - middle) / unit
    return np.where(z > 0, z, -np.log1p(np.maximum(-z, 0)))
