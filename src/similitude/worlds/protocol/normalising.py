"""Scores on the scale where the random policy is 0 and the oracle 1, world by world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import Estimate, bootstrapped, interquartile_mean, optimality_gap
from similitude.evaluation.rows import Row


@dataclass(frozen=True)
class Normalised:
    """A policy between the floor and the ceiling.

    Attributes:
        scores: Normalised scores by task, one per world; above 1 where the policy beats the ceiling, never below 0.
        dropped: Worlds on which the ceiling is not above the floor, which say nothing.
        interquartile: Mean of the middle half of all scores, with its interval (bootstrap stratified by task).
        gap: By how much scores fall short of 1 on average, likewise.
        mean: Their mean, likewise.
    """

    scores: Mapping[str, tuple[float, ...]]
    dropped: int
    interquartile: Estimate
    gap: Estimate
    mean: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "iqm": self.interquartile.to_dict(),
            "optimality_gap": self.gap.to_dict(),
            "mean": self.mean.to_dict(),
            "tasks": {task: sum(scores) / len(scores) for task, scores in self.scores.items()},
            "worlds": sum(map(len, self.scores.values())),
            "dropped": self.dropped,
        }


def normalise(rows: Iterable[Row], floor: Iterable[Row], ceiling: Iterable[Row]) -> Normalised:
    """Normalise a policy's scores by those of two others on the same worlds: max(0, x - floor) / (ceiling - floor).

    Args:
        rows: Rows of the policy; failed ones count as the floor.
        floor: Rows of the random policy.
        ceiling: Rows of the oracle, or of people.

    Raises:
        EvaluationError: A world has no row of floor and ceiling, or on none is the ceiling above the floor.

    Example:
        >>> def row(score):
        ...     return [Row("worlds", "eat", "x", score, {"world": 1})]
        >>> normalise(row(0.75), row(0.5), row(1.0)).scores
        {'eat': (0.5,)}
    """
    low, high = _by_item(floor), _by_item(ceiling)
    scores: dict[str, list[float]] = {}
    dropped = 0
    for row in rows:
        if row.item not in low or row.item not in high:
            raise EvaluationError(
                f"{row.item} was not played by both floor and ceiling. Play the same worlds with the random policy and "
                "with the oracle."
            )
        bottom, top = low[row.item], high[row.item]
        if not top > bottom:
            dropped += 1
            continue
        score = bottom if row.failed else row.score
        scores.setdefault(row.task, []).append(max(0.0, score - bottom) / (top - bottom))
    if not scores:
        raise EvaluationError(
            f"on none of {dropped} worlds does the ceiling score more than the floor, so there is no scale. Play more "
            "worlds."
        )
    return Normalised(
        {task: tuple(values) for task, values in scores.items()},
        dropped,
        bootstrapped(scores, interquartile_mean),
        bootstrapped(scores, optimality_gap),
        bootstrapped(scores),
    )


def _by_item(rows: Iterable[Row]) -> dict[str, float]:
    """Return scores by world, averaged over seeds; failed rows are left out."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if not row.failed:
            found.setdefault(row.item, []).append(row.score)
    return {item: sum(scores) / len(scores) for item, scores in found.items()}
