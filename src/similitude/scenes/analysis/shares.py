"""What a set of scenes says: the share that a model has right with Wilson's interval, and mean losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate, mean_of
from similitude.evaluation.rows import Row

MEASURES = ("right", "loss", "probability", "margin", "score")
"""What can be asked of a row."""


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
    ends = stats.binomtest(count, values.size).proportion_ci(0.95, method="wilson")
    return Estimate(count / values.size, float(ends.low), float(ends.high), values.size, "Wilson")


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
        probability: Mean probability of the accepted labels (t); None where rows have none.
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
    return Standing(accuracy, _mean(rows, "loss"), _mean(rows, "probability"))


def _mean(rows: Sequence[Row], metric: str) -> Estimate | None:
    values = [row.metrics[metric] for row in rows if np.isfinite(row.metrics.get(metric, np.nan))]
    return mean_of(values) if values else None
