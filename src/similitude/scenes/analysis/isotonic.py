"""How accuracy and probability fall with a factor, e.g. how much is hidden, and where half of them is gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.plain import finite
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import factor_named, judged
from similitude.scenes.analysis.levels import FactorTable, by_factor
from similitude.scenes.analysis.shares import measured_of

RESAMPLES = 300
BEGIN = 0.2
"""Share of the scenes whose mean is what the decline begins with."""

FEWEST = 10
"""Scenes below which no curve is fitted."""


@dataclass(frozen=True)
class Decline:
    """A measure that can only fall with a factor.

    Attributes:
        factor: Name of the factor.
        measure: "right" or "probability".
        places: Values of the factor that occurred, ascending.
        fitted: The monotone fit there.
        start: Mean of the measure over the fifth of the scenes with the least values; the fit at the very end rests on
            few scenes, and is too high.
        half: Least value at which the fit is at most half of `start`, with a percentile bootstrap interval over scenes.
            nan where it is not reached; an end is infinite where more than 2.5 % of the resamples do not reach it.
        table: The measure by bins, without a fit.
    """

    factor: str
    measure: str
    places: tuple[float, ...]
    fitted: tuple[float, ...]
    start: float
    half: Estimate
    table: FactorTable

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "factor": self.factor,
                "measure": self.measure,
                "places": list(self.places),
                "fitted": list(self.fitted),
                "start": self.start,
                "half": self.half.to_dict(),
                "table": self.table.to_dict(),
            }
        )


def decline(rows: Iterable[Row], factor: str, *, measure: str = "right", seed: int = 0) -> Decline:
    """Fit a falling step function of a factor by least squares (isotonic regression).

    Args:
        rows: Rows of one model.
        factor: A factor with numbers, e.g. "occlusion.occlusion_ratio".
        measure: "right" for accuracy, "probability" for that of the accepted labels.
        seed: Seed of the bootstrap.

    Raises:
        SceneError: The factor has names, or fewer than 10 scenes have it and the measure.

    Source: Barlow et al., Statistical Inference under Order Restrictions (1972); scikit-learn's `isotonic_regression`.
    """
    kept = judged(rows)
    x, y = _pairs(kept, factor, measure)
    places, fitted = falling(x, y)
    rng = np.random.default_rng(seed)
    halves = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(x), size=len(x))
        halves.append(half_of(*falling(x[drawn], y[drawn]), begin_of(x[drawn], y[drawn])))
    start = begin_of(x, y)
    value = half_of(places, fitted, start)
    # "Never" is sorted behind every number; an order statistic is never a mixture of a number and never.
    low, high = np.quantile(halves, [0.025, 0.975], method="inverted_cdf")
    half = Estimate(
        value if np.isfinite(value) else float("nan"),
        float(low),
        float(high),
        len(x),
        f"isotonic fit, bootstrap of scenes, {RESAMPLES} resamples",
    )
    table = by_factor(kept, factor)
    return Decline(factor, measure, tuple(places.tolist()), tuple(fitted.tolist()), start, half, table)


def decline_line(
    rows: Iterable[Row], factor: str, *, measure: str = "right"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places and the fit of `decline` alone, without the time that its interval takes.

    Raises:
        SceneError: As `decline`.
    """
    return falling(*_pairs(judged(rows), factor, measure))


def falling(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return different places, ascending, and the values of the falling least-squares fit there.

    Example:
        >>> places, fitted = falling(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.5]))
        >>> fitted.tolist()
        [1.0, 0.25, 0.25]
    """
    from sklearn.isotonic import isotonic_regression

    places, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(which, y) / counts
    fit = isotonic_regression(means, sample_weight=counts, increasing=False)
    return places, np.asarray(fit, dtype=float)


def begin_of(x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean of y where x is in its least fifth."""
    return float(y[x <= np.quantile(x, BEGIN)].mean())


def half_of(places: np.ndarray, fitted: np.ndarray, start: float) -> float:
    """Return the least place at which a falling fit is at most half of a first value; inf where it never is.

    Between places the fit is taken as straight.

    Example:
        >>> half_of(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.0]), 1.0)
        0.75
    """
    goal = start / 2
    below = np.flatnonzero(fitted <= goal)
    if start <= 0 or not len(below):
        return float("inf")
    i = below[0]
    if i == 0:
        return float(places[0])
    share = (fitted[i - 1] - goal) / (fitted[i - 1] - fitted[i])
    return float(places[i - 1] + share * (places[i] - places[i - 1]))


def _pairs(kept: list[Row], factor: str, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor and the measure of the rows that have both."""
    found = factor_named(kept, factor)
    if not found.numeric:
        raise SceneError(f"'{factor}' has names, not numbers: nothing falls with it. Ask `by_factor`.")
    x, y = found.numbers, measured_of(kept, measure)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < FEWEST:
        raise SceneError(
            f"{len(x)} scenes have '{factor}' and '{measure}', and a curve takes at least {FEWEST}. Raise the policy's "
            "count."
        )
    return x, y
