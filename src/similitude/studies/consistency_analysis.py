"""From curves of sharpness and loss at several sizes to spreads, distances to the largest model, and how they change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from similitude.checking.slopes import fit
from similitude.core.citation import cites
from similitude.core.seeding import numpy_generator
from similitude.studies.consistency_records import Gap, Growth, Interval, SizeCurves, Spread
from similitude.studies.noise import Array
from similitude.studies.windows import Window

LEVEL = 0.95
DRAWS = 2000

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
def spread(curves: Sequence[SizeCurves], window: Window, *, seed: int = 0) -> Spread:
    """Measure how far apart the sharpness of the compared sizes is in one window.

    The interval is a basic bootstrap: relative deviations of seeds from their size's mean, pooled over the sizes, are
    drawn anew. A largest less a smallest number grows with noise; the basic interval takes that off.

    Args:
        curves: Curves by increasing size.
        window: The window.
        seed: Seed of the draws.
    """
    sizes = [c.size for c in curves]
    chosen = compared_sizes(sizes)
    values = {c.size: window_means(c, "eta_lambda", window) for c in curves}
    means = {size: float(v.mean()) for size, v in values.items()}
    table = np.array([values[size] for size in chosen])
    if not np.isfinite(table).all() or table.size == 0 or (table.mean(1) <= 0).any():
        return Spread(window, means, chosen, None, None)
    centre = table.mean(1)
    value = float(_range(centre))
    seeds = table.shape[1]
    if seeds < 2:
        return Spread(window, means, chosen, value, None)
    # Deviations from a mean of few seeds are too small by this factor.
    deviations = (table / centre[:, None] - 1).ravel() * math.sqrt(seeds / (seeds - 1))
    generator = numpy_generator(seed, "spread")
    noise = generator.choice(deviations, size=(DRAWS, len(chosen), seeds)).mean(2)
    draws = _range(centre * (1 + noise))
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    interval = (min(max(0.0, 2 * value - float(high)), value), max(2 * value - float(low), value))
    return Spread(window, means, chosen, value, interval)


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


def mean_by_window(
    curves: Sequence[SizeCurves], quantity: str, windows: Sequence[Window]
) -> Mapping[Window, tuple[float, ...]]:
    """Average a series over the measurements that a window has of it, and over the seeds, by size."""
    return {w: tuple(float(window_means(c, quantity, w).mean()) for c in curves) for w in windows}


_COLUMNS = {"sharpness": "eta_lambda", "loss": "loss"}


def _range(means: Array) -> Any:
    return (means.max(-1) - means.min(-1)) / means.mean(-1)


def _distance(value: float, reference: float) -> float:
    return abs(value - reference) / abs(reference) if reference else math.nan


def _interval(logs: Array) -> Interval | None:
    """The t-interval of the mean of some logarithms, as factors."""
    if len(logs) < 2:
        return None
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs)))
    return math.exp(float(logs.mean()) - half), math.exp(float(logs.mean()) + half)
