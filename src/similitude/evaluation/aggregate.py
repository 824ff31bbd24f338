"""Aggregates of scores with 95 % intervals: means, interquartile means, optimality gaps, paired differences.

The interquartile mean, the optimality gap and the bootstrap that is stratified by task are those of Agarwal et al.,
Deep Reinforcement Learning at the Edge of the Statistical Precipice (2021); resampling is scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import EvaluationError
from similitude.core.intervals import t_interval
from similitude.core.plain import finite
from similitude.evaluation.rows import Row

RESAMPLES = 5_000
FLIPS = 9_999


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: The number.
        low: Lower end; nan where there is too little data for an interval.
        high: Upper end; nan likewise.
        count: Scores behind it.
        method: How the interval was made.
    """

    value: float
    low: float
    high: float
    count: int
    method: str

    def __str__(self) -> str:
        ends = f" [{self.low:.4g}, {self.high:.4g}]" if math.isfinite(self.low) else ""
        return f"{self.value:.4g}{ends}"

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends; None where there is too little data."""
        return (self.low, self.high) if math.isfinite(self.low) and math.isfinite(self.high) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {"value": self.value, "interval": self.interval, "count": self.count, "method": self.method}
        )


def mean_of(scores: Sequence[float] | np.ndarray) -> Estimate:
    """Return the mean of independent scores with its t-interval.

    Args:
        scores: The scores, e.g. one per split or seed.

    Raises:
        EvaluationError: There is none, or one is not finite.

    Example:
        >>> print(mean_of([1.0, 2.0, 3.0]))
        2 [-0.4841, 4.484]
    """
    values = _checked(scores)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan, len(values), "none: one score")
    return Estimate(mean, *t_interval(values), len(values), "t-interval")


def interquartile_mean(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the mean of the middle half of scores.

    Args:
        scores: Scores, of any shape.
        axis: The axis to reduce.

    Example:
        >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])))
        1.5
    """
    from scipy import stats  # here and below: it takes longer to import than most results take to print

    return stats.trim_mean(scores, 0.25, axis=axis)


def optimality_gap(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return by how much normalised scores fall short of 1 on average; what is above 1 counts as 1.

    Args:
        scores: Scores between 0, the floor, and 1, the ceiling.
        axis: The axis to reduce.

    Example:
        >>> float(optimality_gap(np.array([0.5, 2.0])))
        0.25
    """
    return 1 - np.minimum(scores, 1.0).mean(axis=axis)


def bootstrapped(
    scores: Mapping[str, Sequence[float]],
    statistic: Callable[..., np.ndarray] = np.mean,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return a statistic of the scores of several tasks together, with a bootstrap stratified by task.

    Scores are drawn anew within each task, so every task keeps its weight.

    Args:
        scores: Independent scores by task (over seeds, worlds or items).
        statistic: Takes an array and `axis=`; e.g. `numpy.mean`, `interquartile_mean` or `optimality_gap`.
        seed: Seed of the resampling.
        resamples: How many times.

    Raises:
        EvaluationError: There are no scores, or one is not finite.

    Example:
        >>> found = bootstrapped({"eat": [0.0, 1.0, 1.0, 1.0], "move": [0.0, 1.0, 0.0, 1.0]})
        >>> found.value, found.low < found.value < found.high
        (0.625, True)
    """
    samples = [_checked(values) for values in scores.values()]
    if not samples:
        raise EvaluationError("there are no scores to aggregate. Give at least one task with one score.")
    everything = np.concatenate(samples)
    value, count = float(statistic(everything, axis=-1)), len(everything)
    if min(map(len, samples)) < 2:
        return Estimate(value, math.nan, math.nan, count, "none: a task with one score")
    if np.ptp(everything) == 0:
        return Estimate(value, value, value, count, "all scores equal")
    from scipy import stats

    found = stats.bootstrap(
        samples,
        lambda *drawn, axis: statistic(np.concatenate(drawn, axis=axis), axis=axis),
        vectorized=True,
        method="percentile",
        n_resamples=resamples,
        random_state=np.random.default_rng(seed),  # pyright: ignore[reportCallIssue]  # its name in scipy 1.11
    ).confidence_interval
    return Estimate(
        value, float(found.low), float(found.high), count, f"bootstrap by task, {resamples} resamples"
    )


@dataclass(frozen=True)
class Paired:
    """How one subject compares with another on the same items.

    Attributes:
        first: The subject.
        second: The one it is compared with.
        difference: Mean of first minus second over shared items, with a bootstrap interval over items.
        p: Two-sided p-value of a sign-flip permutation test.
        wins: Items on which the first scores higher.
        losses: Items on which it scores lower.
    """

    first: str
    second: str
    difference: Estimate
    p: float
    wins: int
    losses: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.to_dict(),
            "p": self.p,
            "wins": self.wins,
            "losses": self.losses,
        }


def paired(rows: Iterable[Row], first: str, second: str, *, seed: int = 0) -> Paired:
    """Compare two subjects on the items that both have scores for; seeds of an item are averaged.

    Args:
        rows: Rows of both.
        first: Name of a subject.
        second: Name of the one to compare with.
        seed: Seed of the resampling.

    Raises:
        EvaluationError: They share fewer than two items.
    """
    found: dict[str, dict[str, list[float]]] = {first: {}, second: {}}
    for row in rows:
        if row.subject in found and not row.failed:
            found[row.subject].setdefault(row.item, []).append(row.score)
    shared = [item for item in found[first] if item in found[second]]
    if len(shared) < 2 or first == second:
        raise EvaluationError(
            f"{first!r} and {second!r} have {len(shared)} items in common, and a comparison takes two subjects and at "
            "least two items. Run both on the same tasks, shots, splits or worlds."
        )
    change = np.array([np.mean(found[first][item]) - np.mean(found[second][item]) for item in shared])
    difference = bootstrapped({"items": change.tolist()}, seed=seed)
    p = sign_flip(change, seed=seed)
    return Paired(first, second, difference, p, int((change > 0).sum()), int((change < 0).sum()))


def sign_flip(changes: np.ndarray, *, seed: int = 0, flips: int = FLIPS) -> float:
    """Return the two-sided p-value of the hypothesis that differences are symmetric about 0, by flipping their signs.

    Args:
        changes: One independent difference each.
        seed: Seed of the flips.
        flips: How many are drawn; all are tried where there are fewer.
    """
    if not changes.any():
        return 1.0
    from scipy import stats

    test = stats.permutation_test(
        (changes,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=flips,
        random_state=np.random.default_rng(seed),  # pyright: ignore[reportCallIssue]  # its name in scipy 1.11
    )
    return float(test.pvalue)


def by_task(rows: Iterable[Row]) -> dict[str, list[float]]:
    """Return the scores of rows by task; rows without a score are left out.

    Example:
        >>> by_task([Row("s", "a", "x", 1.0), Row("s", "b", "x", 0.0), Row("s", "a", "x", 0.5, seed=1)])
        {'a': [1.0, 0.5], 'b': [0.0]}
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        if not row.failed:
            found.setdefault(row.task, []).append(row.score)
    return found


def _checked(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise EvaluationError(
            f"scores have to be a list of at least one finite number, and here are {values.size} of shape "
            f"{values.shape}, {int((~np.isfinite(values)).sum())} of them not finite. Leave failed rows out, and say how "
            "many there were."
        )
    return values
