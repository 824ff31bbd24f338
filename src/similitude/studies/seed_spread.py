"""How much a positive quantity differs between networks that are drawn alike: relative variance with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

_EMPTY = 1e-300  # a mean that is no number to divide by


@dataclass(frozen=True)
class Spread:
    """An estimate with its 95 % interval; unbounded where networks are too few to have one.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high


def relative_variance(seconds: np.ndarray, firsts: np.ndarray, *, less: float = 1.0) -> Spread | None:
    """Return E[X^2] / E[X]^2 - 1 over networks, averaged over places, with a jackknife interval.

    The squared mean is estimated from pairs of different networks, so that few networks give no bias.

    Args:
        seconds: An unbiased estimate of X^2 per network and place, shape (networks, places).
        firsts: Of X, likewise.
        less: What is subtracted.

    Returns:
        The estimate; None where X is 0 everywhere or there are fewer than 3 networks.

    Example:
        >>> x = np.array([[1.0], [3.0], [2.0], [2.0]])
        >>> found = relative_variance(x**2, x)
        >>> round(found.value, 3)  # 4.5 over the mean product of pairs, 23 / 6
        0.174
    """
    size = np.abs(firsts).mean(0)
    good = np.isfinite(size) & (size > _EMPTY)
    if len(firsts) < 3 or not good.any():
        return None
    x, xx = firsts[:, good] / size[good], seconds[:, good] / size[good] ** 2
    value = float(_ratio(xx.sum(0), x.sum(0), (x**2).sum(0), len(x)).mean()) - less
    left = [
        float(_ratio(xx.sum(0) - xx[i], x.sum(0) - x[i], (x**2).sum(0) - x[i] ** 2, len(x) - 1).mean()) - less
        for i in range(len(x))
    ]
    n = len(left)
    error = math.sqrt((n - 1) / n * float(((np.array(left) - np.mean(left)) ** 2).sum()))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Spread(value, value - half, value + half)


def _ratio(seconds: np.ndarray, firsts: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    pairs = (firsts**2 - squares) / (count * (count - 1))
    return seconds / count / np.maximum(pairs, _EMPTY)
