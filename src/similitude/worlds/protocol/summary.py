"""What rows of played worlds say together: success and score by task, by group and by difficulty, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from similitude.evaluation.aggregate import Estimate, bootstrapped, by_task, mean_of
from similitude.evaluation.rows import Row
from similitude.worlds.protocol.definition import GROUPS

BINS = 10
"""Bins of difficulty; the last holds difficulty 1 too."""


@dataclass(frozen=True)
class TaskSummary:
    """One task.

    Attributes:
        task: Its name.
        success: Share of worlds in which all food was eaten, with its interval (Wilson).
        score: Mean score with its interval (t).
        frames: Mean number of frames.
        failures: Worlds on which the policy raised; they count as no success and are in no mean score.
    """

    task: str
    success: Estimate
    score: Estimate | None
    frames: float
    failures: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "success": self.success.to_dict(),
            "score": None if self.score is None else self.score.to_dict(),
            "frames": self.frames if math.isfinite(self.frames) else None,
            "failures": self.failures,
        }


@dataclass(frozen=True)
class Summary:
    """What a policy reached.

    Attributes:
        tasks: Task by task.
        success: Mean over tasks of the shares of success, with a bootstrap interval stratified by task.
        score: Mean score likewise; None where nothing has a score.
        groups: Success likewise by group of tasks, of groups that were played whole.
        difficulties: (lowest, highest, share of success) by bin of difficulty.
    """

    tasks: tuple[TaskSummary, ...]
    success: Estimate
    score: Estimate | None
    groups: tuple[tuple[str, Estimate], ...]
    difficulties: tuple[tuple[float, float, Estimate], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "success": self.success.to_dict(),
            "score": None if self.score is None else self.score.to_dict(),
            "tasks": {one.task: one.to_dict() for one in self.tasks},
            "groups": {name: estimate.to_dict() for name, estimate in self.groups},
            "by_difficulty": [
                {"low": low, "high": high, **estimate.to_dict()} for low, high, estimate in self.difficulties
            ],
        }


def summarise(rows: Iterable[Row]) -> Summary:
    """Summarise rows of one policy.

    Args:
        rows: The rows; at least one.

    Example:
        >>> rows = [
        ...     Row("worlds", "eat", "x", 1.0 * i, {"difficulty": 0.5, "world": i}, success=i > 0)
        ...     for i in range(4)
        ... ]
        >>> print(summarise(rows).tasks[0].success)
        0.75 [0.3006, 0.9544]
    """
    rows = list(rows)
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    outcomes = {task: [1.0 if row.success else 0.0 for row in own] for task, own in found.items()}
    scores = by_task(rows)
    groups = [
        (name, _success({task: outcomes[task] for task in tasks}))
        for name, tasks in GROUPS.items()
        if all(task in outcomes for task in tasks)
    ]
    return Summary(
        tuple(_task(task, own) for task, own in found.items()),
        _success(outcomes),
        _over_tasks(scores) if scores else None,
        tuple(groups),
        tuple(_bins(rows)),
    )


def success_share(outcomes: Sequence[bool]) -> Estimate:
    """Return a share of successes with Wilson's interval.

    Example:
        >>> print(success_share([True] * 10))
        1 [0.7225, 1]
    """
    test = stats.binomtest(sum(outcomes), len(outcomes))
    interval = test.proportion_ci(method="wilson")
    return Estimate(float(test.statistic), float(interval.low), float(interval.high), len(outcomes), "Wilson")


def _task(task: str, rows: list[Row]) -> TaskSummary:
    scores = [row.score for row in rows if not row.failed]
    frames = [row.metrics["frames"] for row in rows if "frames" in row.metrics]
    return TaskSummary(
        task,
        success_share([bool(row.success) for row in rows]),
        mean_of(scores) if scores else None,
        sum(frames) / len(frames) if frames else math.nan,
        sum(row.failed for row in rows),
    )


def _over_tasks(values: dict[str, list[float]]) -> Estimate:
    """Return the mean over tasks of means; the bootstrap keeps every task's weight only where counts are equal."""
    if len({len(own) for own in values.values()}) == 1:
        return bootstrapped(values)
    return bootstrapped({task: [sum(own) / len(own)] for task, own in values.items()})


def _success(outcomes: dict[str, list[float]]) -> Estimate:
    everything = [value > 0 for own in outcomes.values() for value in own]
    if len(outcomes) == 1 or len(set(everything)) == 1:  # resampling what is all alike would claim to be sure
        return success_share(everything)
    return _over_tasks(outcomes)


def _bins(rows: Iterable[Row]) -> Iterable[tuple[float, float, Estimate]]:
    found: dict[int, list[bool]] = {}
    for row in rows:
        place = min(int(float(row.params["difficulty"] or 0.0) * BINS + 1e-9), BINS - 1)
        found.setdefault(place, []).append(bool(row.success))
    for place in sorted(found):
        yield place / BINS, (place + 1) / BINS, success_share(found[place])
