"""Growth exponents: the slope of log quantity against log width over seeds, with its t-interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Slope:
    """A growth exponent.

    Attributes:
        value: d log(quantity) / d log(width).
        low: Lower end of its 95 % interval.
        high: Upper end.
        wide: Slope between the two largest widths alone.
    """

    value: float
    low: float
    high: float
    wide: float


def fit(widths: Sequence[float], values: Sequence[Sequence[float]]) -> Slope | None:
    """Fit the exponent by least squares, every seed with a level of its own.

    A seed sees the same data at every width, so its level is common to them and is no noise. What is left (seeds
    that disagree, and widths off the line) makes the interval.

    Args:
        widths: Increasing widths, or other sizes that a quantity grows with, at least two.
        values: Per width one positive number per seed, shape (widths, seeds).

    Returns:
        The slope; None where a number is zero or not finite, so that it has no logarithm. With no degree of freedom
        left the interval is infinite; numbers without chance in them give one of no width.

    Example:
        >>> s = fit([64, 128, 256], [[1.0, 3.0], [2.0, 6.0], [4.0, 12.0]])
        >>> round(s.value, 6), round(s.low, 6)
        (1.0, 1.0)
    """
    table = np.array(values, float)
    if table.size == 0 or not np.isfinite(table).all() or (table <= 0).any():
        return None
    y = np.log(table)
    y = y - y.mean(0)
    x = np.log(np.array(widths, float))
    x = x - x.mean()
    spread = float((x**2).sum()) * y.shape[1]
    slope = float((x[:, None] * y).sum()) / spread
    residual = y - slope * x[:, None]
    freedom = y.size - y.shape[1] - 1
    means = np.log(table).mean(1)
    wide = float(means[-1] - means[-2]) / math.log(widths[-1] / widths[-2])
    if freedom < 1:
        return Slope(slope, -math.inf, math.inf, wide)
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(float((residual**2).sum()) / freedom / spread)
    return Slope(slope, slope - half, slope + half, wide)
