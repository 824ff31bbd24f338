"""What a set of scenes says: the share that a model has right, mean probabilities and losses, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.intervals import t_reach, wilson_interval
from similitude.evaluation.aggregate import Estimate, mean_of
from similitude.evaluation.rows import Row

MEASURES = ("right", "loss", "probability", "margin", "score")
"""What can be asked of a row."""

_ROUNDING = 1e-6  # by which sums of float32 probabilities may exceed 1


def share_of(right: Sequence[bool] | np.ndarray) -> Estimate:
    """Return a share with its 95 % interval after Wilson (1927).

    Raises:
        SceneError: There is nothing to take a share of.

    Example:
        >>> print(share_of([True] * 8 + [False] * 2))
        0.8 [0.4902, 0.9433]
    """
    values = np.asarray(right, dtype=bool)
    if not values.size:
        raise SceneError("there is no scene to take a share of. Loosen the filter.")
    count = int(values.sum())
    return Estimate(count / values.size, *wilson_interval(count, values.size), values.size, "Wilson")


def bounded_mean(values: Sequence[float] | np.ndarray, *, low: float = 0.0, high: float = 1.0) -> Estimate:
    """Return the mean of independent values between two bounds with a 95 % interval that stays between them.

    Wilson's interval (1927) for a variance of phi p (1 - p), phi estimated by that of the values, and Student's t for the
    normal quantile: with m the mean, all p with n (m - p)^2 <= t^2 phi p (1 - p). Of zeros and ones this is Wilson's
    interval but for t and phi = n / (n - 1); of many values far from the bounds it is the t-interval. Where all are at
    one bound, phi is 1.

    Args:
        values: Values, e.g. probabilities.
        low: Least value that there can be.
        high: Greatest one.

    Raises:
        SceneError: There are none, or one is outside of the bounds or not finite.

    Example:
        >>> print(bounded_mean([0.0, 0.0, 0.1]))
        0.03333 [0.001582, 0.4287]
    """
    given = np.asarray(values, dtype=float)
    if not given.size or not ((given >= low - _ROUNDING) & (given <= high + _ROUNDING)).all():
        raise SceneError(
            f"a mean between {low:g} and {high:g} is of at least one value, all of them between these, and here are "
            f"{given.size}. Leave out what is not."
        )
    shares = np.clip((given - low) / (high - low), 0, 1)
    n, p = shares.size, float(shares.mean())
    if n < 2:
        return Estimate(low + (high - low) * p, np.nan, np.nan, n, "none: one score")
    spread = p * (1 - p)
    phi = float(shares.var(ddof=1)) / spread if spread > 0 else 1.0
    k = t_reach(n - 1) ** 2 * phi / n
    middle, half = (p + k / 2) / (1 + k), np.sqrt(k * spread + k * k / 4) / (1 + k)
    ends = np.clip([middle - half, middle + half], 0, 1)  # of rounding
    value, first, last = (low + (high - low) * float(one) for one in (p, *ends))
    return Estimate(value, first, last, n, "Wilson, spread of the values")


def measured_of(rows: Sequence[Row], measure: str) -> np.ndarray:
    """Return a measure of each row, float64; nan where a row lacks it.

    Args:
        rows: The rows.
        measure: "right" (1 or 0), "score", or the name of a metric: "loss", "probability", "margin".

    Raises:
        SceneError: No row has it.
    """
    if measure == "right":
        values = [np.nan if row.success is None else float(row.success) for row in rows]
    elif measure == "score":
        values = [row.score for row in rows]
    else:
        values = [row.metrics.get(measure, np.nan) for row in rows]
    found = np.array(values, dtype=float)
    if not np.isfinite(found).any():
        known = sorted({name for row in rows for name in row.metrics})
        raise SceneError(
            f"no row has a finite '{measure}'. There are: {', '.join(['right', 'score', *known])}"
            + (
                " ('right' needs an evaluator that calls an answer right or wrong)."
                if measure == "right"
                else "."
            )
        )
    return found


@dataclass(frozen=True)
class Standing:
    """How a model stands in a set of scenes.

    Attributes:
        accuracy: Share of right answers (Wilson); the mean score (t) where the evaluator knows no right and wrong.
        loss: Mean loss (t); None where rows have none.
        probability: Mean probability of the accepted labels (`bounded_mean`); None where rows have none.
    """

    accuracy: Estimate
    loss: Estimate | None
    probability: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "accuracy": self.accuracy.to_dict(),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "probability": None if self.probability is None else self.probability.to_dict(),
        }


def standing_of(rows: Sequence[Row]) -> Standing:
    """Return how a model stands in some scenes; intervals take scenes as independent, which is wide for Sobol points."""
    asked = [row.success for row in rows if row.success is not None]
    accuracy = share_of(asked) if len(asked) == len(rows) and asked else mean_of([row.score for row in rows])
    return Standing(accuracy, _mean(rows, "loss", mean_of), _mean(rows, "probability", _probability))


def _mean(rows: Sequence[Row], metric: str, mean: Callable[[list[float]], Estimate]) -> Estimate | None:
    values = [row.metrics[metric] for row in rows if np.isfinite(row.metrics.get(metric, np.nan))]
    return mean(values) if values else None


def _probability(values: list[float]) -> Estimate:
    """Return the mean of what rows call a probability; a user's evaluator may give what is none."""
    if min(values) < -_ROUNDING or max(values) > 1 + _ROUNDING:
        return mean_of(values)
    return bounded_mean(values)
