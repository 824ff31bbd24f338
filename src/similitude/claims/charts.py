"""Parts of charts that claims share: means with intervals, lines of theory, slopes to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from similitude.claims.judged import mean_interval
from similitude.core.chart import Kind, Series

_GRID = 41  # points of a line of theory


def means(
    label: str, x: Sequence[float], draws: Sequence[np.ndarray], *, kind: Kind = "points", over: float = 1.0
) -> Series:
    """Return means over draws with their 95 % intervals.

    Args:
        label: Name in the legend.
        x: Places.
        draws: The values of every place, shape (draws,) each.
        kind: How they are drawn.
        over: What values are divided by.

    Example:
        >>> means("a", [1.0], [np.array([1.0, 3.0])]).y
        (2.0,)
    """
    scaled = [np.asarray(values) / over for values in draws]
    return Series(label, x, [float(v.mean()) for v in scaled], [mean_interval(v) for v in scaled], kind)


def theory(label: str, low: float, high: float, of: Callable[[float], float], *, log: bool = True) -> Series:
    """Return a line of theory between two places, evenly spaced on a logarithmic or a linear axis.

    Args:
        label: Name in the legend: that of the measured points, for their colour.
        low: First place.
        high: Last place.
        of: The value at a place.
        log: Whether places are spaced logarithmically.
    """
    x = np.geomspace(low, high, _GRID) if log else np.linspace(low, high, _GRID)
    return Series(label, x, [of(float(place)) for place in x], kind="line")


def power_guide(label: str, x: Sequence[float], first: float, power: float) -> Series:
    """Return a guide that goes as a power through the first of some places.

    Example:
        >>> power_guide("x^-1", [1, 2, 4], 8.0, -1).y
        (8.0, 4.0, 2.0)
    """
    return Series(label, x, [first * (place / x[0]) ** power for place in x], kind="guide")


def equality(values: Sequence[float]) -> Series:
    """Return the guide on which measured values are those of theory, over a range of values."""
    ends = [min(values), max(values)]
    return Series("equal", ends, ends, kind="guide")
