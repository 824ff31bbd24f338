"""The scenes that a model does worst in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import judged


def worst_cases(rows: Iterable[Row], count: int = 12) -> list[Row]:
    """Return the rows with the highest losses, the highest first; without losses those with the lowest scores.

    Args:
        rows: Rows of one model.
        count: How many.

    Raises:
        SceneError: There are no scores, or rows are of several models.
    """
    return sorted(judged(rows), key=badness, reverse=True)[:count]


def badness(row: Row) -> float:
    """Return by what scenes are ordered: the loss, or the score with its sign changed where there is none."""
    loss = row.metrics.get("loss", np.nan)
    return loss if np.isfinite(loss) else -row.score
