"""What the learning rate of the smallest size costs at the largest: its loss there against the best one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from similitude.studies.noise import Array, cells, mean_losses
from similitude.studies.records import Curve


@dataclass(frozen=True)
class Penalty:
    """Mean loss at the transferred rate, smallest mean loss of the grid, and the error of their difference.

    `stderr` is None where it cannot be computed: one seed, seeds that differ between rates, a diverged rate.
    """

    at_transferred: float
    at_best: float
    stderr: float | None

    @property
    def excess(self) -> float:
        """The loss at the transferred rate above the best one."""
        return self.at_transferred - self.at_best

    @property
    def relative(self) -> float:
        """The excess in units of the best loss."""
        if self.excess == 0:
            return 0.0
        return self.excess / abs(self.at_best) if self.at_best else math.inf


def penalty(curve: Curve, lr: float) -> Penalty | None:
    """Read the loss at a learning rate off a curve.

    Between grid points the means are interpolated monotonically in log2 of the rate, so the result is never
    below the smaller neighbour: it errs against the transferred rate. Beside a diverged rate there is nothing
    to interpolate, and the nearer grid point counts.

    Args:
        curve: Losses of the largest size.
        lr: The transferred rate.

    Returns:
        The penalty, or None where the rate is outside the grid or every rate diverged.
    """
    x, seeds = cells(curve)
    means = mean_losses(seeds)
    at = math.log2(lr)
    if not np.isfinite(means).any() or not x[0] - 1e-9 <= at <= x[-1] + 1e-9:
        return None
    at = float(np.clip(at, x[0], x[-1]))
    best = int(np.argmin(means))
    right = min(int(np.searchsorted(x, at)), len(x) - 1)
    left = right if x[right] == at else max(right - 1, 0)
    if not np.isfinite(means[[left, right]]).all():
        left = right = left if at - x[left] <= x[right] - at else right
    if not np.isfinite(means[left]):
        return Penalty(math.inf, float(means[best]), None)
    if left == right:
        transferred = float(means[left])
    else:
        first, last = _finite_run(means, left, right)
        run = slice(first, last + 1)
        transferred = float(PchipInterpolator(x[run], means[run])(at))
    return Penalty(transferred, float(means[best]), _stderr(x, means, seeds, left, right, transferred, best))


def _finite_run(means: Array, left: int, right: int) -> tuple[int, int]:
    while left > 0 and np.isfinite(means[left - 1]):
        left -= 1
    while right + 1 < len(means) and np.isfinite(means[right + 1]):
        right += 1
    return left, right


def _stderr(
    x: Array, means: Array, seeds: list[Array], left: int, right: int, transferred: float, best: int
) -> float | None:
    """Return the standard error over pairs of one seed, mixed from the two neighbours as the mean was."""
    count = len(seeds[best])
    if count < 2 or not len(seeds[left]) == len(seeds[right]) == count:
        return None
    gap = means[right] - means[left]
    share = float((transferred - means[left]) / gap) if gap else 0.0
    difference = (1 - share) * seeds[left] + share * seeds[right] - seeds[best]
    return float(difference.std(ddof=1) / math.sqrt(count))
