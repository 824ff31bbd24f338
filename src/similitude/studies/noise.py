"""Final losses over learning rates: as arrays, their means, and their noise near the best rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from similitude.studies.grid_checks import check_rates
from similitude.studies.records import Curve

Array = NDArray[np.float64]

STEPS = 3  # points on each side of the best one at which noise is measured
LARGEST = 1e100  # a loss above it has diverged; its square would not be a number


@dataclass(frozen=True)
class Noise:
    """Noise near the minimum: standard error of the difference of two means, and its degrees of freedom."""

    stderr: float
    df: int


def cells(curve: Curve) -> tuple[Array, list[Array]]:
    """Return log2 of the rates that have losses, in increasing order, and their losses; nan where diverged.

    Args:
        curve: Losses over learning rates, in any order.

    Raises:
        GridError: A rate is not positive and finite, or is there twice.
    """
    check_rates(curve.lrs, least=0)
    rows = [(rate, np.array(row, float)) for rate, row in zip(curve.lrs, curve.losses, strict=False) if row]
    rows.sort(key=lambda pair: pair[0])
    seeds = [np.where(np.abs(row) <= LARGEST, row, np.nan) for _, row in rows]
    return np.log2([rate for rate, _ in rows]), seeds


def mean_losses(seeds: Sequence[Array]) -> Array:
    """Return the mean loss per rate, shape (rates,); inf where any seed diverged."""
    return np.array([row.mean() if np.isfinite(row).all() else np.inf for row in seeds])


def noise_near(seeds: Sequence[Array], means: Array) -> Noise:
    """Pool the noise over the rates near the best one, after removing what a seed adds to every rate alike.

    Args:
        seeds: Losses per rate, arrays of shape (seeds,); the best rate is finite.
        means: Their means, shape (rates,).

    Returns:
        The noise; 0 with 0 degrees of freedom where there is one seed.
    """
    best = int(np.argmin(means))
    near = [
        i for i in range(max(0, best - STEPS), min(len(means), best + STEPS + 1)) if np.isfinite(means[i])
    ]
    rows = [seeds[i] - means[i] for i in sorted(near, key=lambda i: means[i])[: STEPS + 1]]
    counts = [len(row) for row in rows]
    if len(set(counts)) == 1:
        residuals = np.array(rows)
        residuals = residuals - residuals.mean(0)
        df = (len(rows) - 1) * (counts[0] - 1)
        squares = float((residuals**2).sum())
    else:
        df = sum(counts) - len(counts)
        squares = float(sum((row**2).sum() for row in rows))
    return Noise(float(np.sqrt(squares / df * 2 / np.mean(counts))) if df else 0.0, df)
