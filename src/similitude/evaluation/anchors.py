"""Anchors: scores that say what a number means: what chance, an oracle, people and published systems reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from similitude.core.errors import EvaluationError

AnchorKind = Literal["constant", "random", "oracle", "human", "published"]

FLOORS = ("constant", "random", "chance")
"""Subjects, and kinds of anchors, that say what a score is without any ability."""


@dataclass(frozen=True)
class Anchor:
    """What a reference subject scores.

    Attributes:
        name: Its name in tables.
        kind: "constant" and "random" are the floor, "oracle" and "human" the ceiling, "published" what others report.
        scores: Mean score by task.
        deviations: Standard deviation by task, as published; empty where none is known.
        params: What it holds for, e.g. {"shots": 30}.
        source: Where the numbers are from; "measured" where they come from rows of this machine.
    """

    name: str
    kind: AnchorKind
    scores: Mapping[str, float]
    deviations: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    source: str = "measured"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "scores": dict(self.scores),
            "deviations": dict(self.deviations),
            "params": dict(self.params),
            "source": self.source,
        }


def normalised(score: float, task: str, *, floor: Anchor, ceiling: Anchor) -> float:
    """Return a score on the scale where the floor is 0 and the ceiling 1.

    Args:
        score: The score.
        task: Its task.
        floor: A constant or random anchor.
        ceiling: An oracle or human anchor.

    Raises:
        EvaluationError: An anchor has no score for the task, or the ceiling is not above the floor.

    Example:
        >>> low, high = Anchor("constant", "constant", {"a": 50.0}), Anchor("human", "human", {"a": 90.0})
        >>> normalised(70.0, "a", floor=low, ceiling=high)
        0.5
    """
    for anchor in (floor, ceiling):
        if task not in anchor.scores:
            raise EvaluationError(
                f"the anchor {anchor.name!r} has no score for {task!r}, only for {', '.join(anchor.scores)}. "
                "Normalise by an anchor that has, or leave the task out."
            )
    low, high = floor.scores[task], ceiling.scores[task]
    if not high > low:
        raise EvaluationError(
            f"{ceiling.name!r} scores {high:g} on {task!r} and {floor.name!r} {low:g}: the ceiling has to be above the "
            "floor. Normalise by other anchors."
        )
    return (score - low) / (high - low)
