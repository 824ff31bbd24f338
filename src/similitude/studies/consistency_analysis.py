"""From curves of sharpness and loss at several sizes to spreads, distances to the largest model, and how they change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import stats

from similitude.checking.slopes import fit
from similitude.core.citation import cites
from similitude.studies.consistency_records import Gap, Growth, Interval, SizeCurves, Spread
from similitude.studies.noise import Array
from similitude.studies.windows import Window

LEVEL = 0.95

FAR = 4
"""Sizes from this many times the smallest on are compared: below, networks are far from their limit whatever the rule."""


def compared_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes whose spread is judged: from four times the smallest on, or all but the smallest.

    Example:
        >>> compared_sizes([64, 128, 256, 512]), compared_sizes([32, 64, 96])
        ((256, 512), (64, 96))
    """
    far = tuple(size for size in sizes if size >= FAR * sizes[0])
    return far if len(far) >= 2 else tuple(sizes[1:])


def window_means(curves: SizeCurves, quantity: str, window: Window) -> Array:
    """Average a quantity over a window, seed by seed.

    Returns:
        Shape (seeds,); nan where a run had diverged, or the quantity was measured nowhere in the window.
    """
    inside = [i for i, step in enumerate(curves.steps) if step in window]
    values = np.array(curves.series[quantity], float)[:, inside]
    losses = np.array(curves.series["loss"], float)[:, inside]
    known = np.isfinite(values)
    counts = known.sum(1)
    sums = np.where(known, values, 0.0).sum(1)
    means = np.divide(sums, counts, out=np.full(len(values), math.nan), where=counts > 0)
    return np.where(np.isfinite(losses).all(1), means, math.nan)


@cites(2, "Section 3: curves of sharpness over widths collapse")
def spread(curves: Sequence[SizeCurves], window: Window, *, judged: int = 1) -> Spread:
    """Measure how far apart the sharpness of the compared sizes is in one window.

    A largest less a smallest number grows with noise, and by more than its own scatter shows. So the interval is that of
    the studentized range: the range of m means is off by at most the range of their m errors, which is q s / sqrt(n)
    for n seeds, with s from all sizes (m (n - 1) degrees of freedom). It holds the true spread at least as often as it
    says, whatever the sizes' true means are.

    Source: J. W. Tukey, The problem of multiple comparisons (1953).

    Args:
        curves: Curves by increasing size.
        window: The window.
        judged: Number of windows in which `at_least` holds at once (Bonferroni).
    """
    sizes = [c.size for c in curves]
    chosen = compared_sizes(sizes)
    values = {c.size: window_means(c, "eta_lambda", window) for c in curves}
    means = {size: float(v.mean()) for size, v in values.items()}
    table = np.array([values[size] for size in chosen])
    if not np.isfinite(table).all() or table.size == 0 or (table.mean(1) <= 0).any():
        return Spread(window, means, chosen, None, None)
    centre = table.mean(1)
    value = float((centre.max() - centre.min()) / centre.mean())
    count, seeds = table.shape
    if seeds < 2 or count < 2:
        return Spread(window, means, chosen, value, None)
    error = math.sqrt(float(table.var(1, ddof=1).mean()) / seeds) / float(centre.mean())
    half, surely = (
        error * _range_of_noise(1 - (1 - LEVEL) / times, count, count * (seeds - 1)) for times in (1, judged)
    )
    return Spread(
        window, means, chosen, value, (max(0.0, value - half), value + half), max(0.0, value - surely)
    )


@cites(2, "Section 3: distance to the largest width")
def gap(curves: Sequence[SizeCurves], quantity: str, window: Window) -> Gap:
    """Measure how far the smaller sizes are from the largest one in one window.

    Args:
        curves: Curves by increasing size.
        quantity: "sharpness" or "loss".
        window: The window.
    """
    values = [window_means(c, _COLUMNS[quantity], window) for c in curves]
    largest = values[-1]
    smaller = {c.size: v for c, v in zip(curves[:-1], values[:-1], strict=True)}
    distances = {size: _distance(float(v.mean()), float(largest.mean())) for size, v in smaller.items()}
    if not all(map(math.isfinite, distances.values())):
        return Gap(quantity, window, distances, None)
    mean = sum(distances.values()) / len(distances)
    by_seed = [[_distance(a, b) for a, b in zip(v, largest, strict=True)] for v in smaller.values()]
    slope = fit(list(smaller), by_seed) if len(smaller) > 1 else None
    if slope is None:
        return Gap(quantity, window, distances, mean)
    return Gap(quantity, window, distances, mean, slope.value, (slope.low, slope.high))


def growth(curves: Sequence[SizeCurves], quantity: str, windows: Sequence[Window]) -> Growth:
    """Compare a gap in the last window with that in the first one after the start, seed by seed.

    At the start the losses of centred networks are equal, so that window has no gap to grow from.

    Args:
        curves: Curves by increasing size.
        quantity: "sharpness" or "loss".
        windows: Windows in the order of time.
    """
    later = [window for window in windows if window.first > 0]
    if len(later) < 2:
        return Growth(quantity, None, None)
    means = []
    for window in (later[0], later[-1]):
        *smaller, largest = (window_means(c, _COLUMNS[quantity], window) for c in curves)
        means.append(np.mean([np.abs(v - largest) / np.abs(largest) for v in smaller], axis=0))
    first, last = means
    if not np.isfinite(first + last).all() or (first <= 0).any() or (last <= 0).any():
        return Growth(quantity, None, None)
    logs = np.log(last / first)
    return Growth(quantity, math.exp(logs.mean()), _interval(logs))


def mean_curve(curves: SizeCurves, quantity: str) -> Array:
    """Average a series over the seeds, shape (times,); nan where a seed has no number."""
    return np.array(curves.series[quantity], float).mean(0)


_COLUMNS = {"sharpness": "eta_lambda", "loss": "loss"}


@cache
def _range_of_noise(level: float, count: int, freedom: int) -> float:
    """The quantile of the studentized range; its integral takes half a second."""
    return float(stats.studentized_range.ppf(level, count, freedom))


def _distance(value: float, reference: float) -> float:
    return abs(value - reference) / abs(reference) if reference else math.nan


def _interval(logs: Array) -> Interval | None:
    """The t-interval of the mean of some logarithms, as factors."""
    if len(logs) < 2:
        return None
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs)))
    return math.exp(float(logs.mean()) - half), math.exp(float(logs.mean()) + half)
