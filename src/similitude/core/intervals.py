"""95 % intervals of means and shares, without the seconds that importing scipy.stats takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special


def t_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the 95 % t-interval of the mean of independent values, shape (n,), n at least 2.

    Example:
        >>> low, high = t_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    mean, count = float(np.mean(values)), len(values)
    half = t_reach(count - 1) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return mean - half, mean + half


def t_reach(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t for degrees of freedom, at least 1.

    Example:
        >>> round(t_reach(2), 3)
        4.303
    """
    return float(special.stdtrit(degrees, 0.975))


def wilson_interval(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share after Wilson (1927), in the form of Newcombe (1998).

    Example:
        >>> low, high = wilson_interval(8, 10)
        >>> round(low, 4), round(high, 4)
        (0.4902, 0.9433)
    """
    share, z = hits / of, float(special.ndtri(0.975))
    whole = 2 * (of + z**2)
    middle, half = (2 * hits + z**2) / whole, z / whole * math.sqrt(4 * hits * (1 - share) + z**2)
    return 0.0 if hits == 0 else middle - half, 1.0 if hits == of else middle + half
