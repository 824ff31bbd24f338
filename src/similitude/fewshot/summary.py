"""What scores of five splits say: means and deviations as published, intervals over splits and items, paired tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import Estimate, mean_of, sign_flip
from similitude.fewshot.metric import Scores
from similitude.fewshot.publications import Aggregate, aggregate
from similitude.fewshot.tasks import SPLITS, TASKS

RESAMPLES = 2000
"""Of the bootstrap and of the permutation test: a quantile of 2.5 % is then known to about a tenth of its tail."""

Metric = Literal["strict", "fair"]


@dataclass(frozen=True)
class Measure:
    """One score of one task at one number of shots, times 100.

    Attributes:
        mean: Mean over splits.
        deviation: Population standard deviation over splits, as published; that of the sample is 12 % larger at five.
        over_splits: The mean with its t-interval over splits: what another draw of the training examples would give.
        over_items: The mean with its bootstrap interval over the test: what other test texts would give.
    """

    mean: float
    deviation: float
    over_splits: Estimate
    over_items: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "mean": self.mean,
            "deviation": self.deviation,
            "over_splits": self.over_splits.to_dict(),
            "over_items": self.over_items.to_dict(),
        }


@dataclass(frozen=True)
class Cell:
    """A task at a number of shots.

    Attributes:
        task: Name of the task.
        shots: Shots that were trained on.
        splits: The splits behind it.
        strict: The repository's score.
        fair: Ours.
    """

    task: str
    shots: int
    splits: tuple[int, ...]
    strict: Measure
    fair: Measure

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "task": self.task,
            "shots": self.shots,
            "splits": list(self.splits),
            "strict": self.strict.to_dict(),
            "fair": self.fair.to_dict(),
        }


@dataclass(frozen=True)
class Comparison:
    """How one learner compares with another on the same task, shots, splits and items; differences are times 100.

    Attributes:
        task: Name of the task.
        shots: Shots that were trained on.
        over_splits: Mean difference with the t-interval of the differences of splits.
        p_splits: Two-sided p-value of the paired t-test over splits; None where all splits differ by the same.
        over_items: Mean difference with its bootstrap interval over the texts of the test.
        p_items: Two-sided p-value of the sign-flip permutation test over the texts of the test.
    """

    task: str
    shots: int
    over_splits: Estimate
    p_splits: float | None
    over_items: Estimate
    p_items: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "task": self.task,
            "shots": self.shots,
            "over_splits": self.over_splits.to_dict(),
            "p_splits": self.p_splits,
            "over_items": self.over_items.to_dict(),
            "p_items": self.p_items,
        }


def summarise(scores: Iterable[Scores], *, seed: int = 0) -> tuple[Cell, ...]:
    """Summarise the scores of splits by task and shots, in the order in which they first appear.

    Items are resampled by text: questions on one text stay together, because they are right or wrong together.

    Args:
        scores: Scores of splits.
        seed: Seed of the resampling.

    Raises:
        EvaluationError: There are none, a split is there twice, or the splits of a task have different tests.

    Example:
        >>> one = Scores("sst-2", 10, 1, (1.0, 0.0), (1.0, 0.0), (0, 1))
        >>> two = Scores("sst-2", 10, 2, (1.0, 1.0), (1.0, 1.0), (0, 1))
        >>> cell = summarise([one, two])[0]
        >>> cell.fair.mean, cell.fair.deviation
        (75.0, 25.0)
    """
    return tuple(
        Cell(
            task=task,
            shots=shots,
            splits=tuple(part.split for part in parts),
            strict=_measure(parts, "strict", seed),
            fair=_measure(parts, "fair", seed),
        )
        for (task, shots), parts in _by_cell(scores).items()
    )


def aggregate_of(cells: Iterable[Cell], shots: int, metric: Metric = "fair") -> Aggregate | None:
    """Aggregate the tasks at a number of shots as the leaderboard does; None unless all six have all five splits.

    Args:
        cells: What `summarise` returned.
        shots: 10, 20 or 30.
        metric: The score.
    """
    found = {c.task: getattr(c, metric) for c in cells if c.shots == shots and c.splits == SPLITS}
    if set(found) != set(TASKS):
        return None
    return aggregate(
        {t: measure.mean for t, measure in found.items()}, {t: m.deviation for t, m in found.items()}
    )


def compare(
    first: Iterable[Scores], second: Iterable[Scores], *, metric: Metric = "fair", seed: int = 0
) -> tuple[Comparison, ...]:
    """Compare two learners, split by split and item by item, on every task and number of shots that both have.

    The two tests ask different things: whether the difference survives another draw of the training examples (five
    splits, so little power), and whether it survives other test texts.

    Args:
        first: Scores of a learner.
        second: Scores of the one to compare with.
        metric: The score.
        seed: Seed of the resampling.

    Raises:
        EvaluationError: They share no task and shots, or differ there in their splits or tests.
    """
    ours, theirs = _by_cell(first), _by_cell(second)
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise EvaluationError(
            "the two learners have no task and number of shots in common. Run both on the same ones."
        )
    found = []
    for task, shots in shared:
        a, b = ours[task, shots], theirs[task, shots]
        if [(p.split, p.texts) for p in a] != [(p.split, p.texts) for p in b]:
            raise EvaluationError(
                f"{task}, {shots} shots: the learners have splits {[p.split for p in a]} and {[p.split for p in b]}, or "
                "other tests. A paired test takes the same splits and items; run both on the same data."
            )
        change = 100 * (_matrix(a, metric) - _matrix(b, metric))
        sums, counts = _by_text(change.mean(0), a[0].texts)
        splits = change.mean(1)
        over_items = _over_items(sums, counts, seed)
        p_items = sign_flip(sums, seed=seed, flips=RESAMPLES)
        found.append(
            Comparison(
                task,
                shots,
                mean_of(splits),
                _t_test(splits),
                over_items,
                p_items,
            )
        )
    return tuple(found)


def _by_cell(scores: Iterable[Scores]) -> dict[tuple[str, int], list[Scores]]:
    cells: dict[tuple[str, int], list[Scores]] = {}
    for part in scores:
        cells.setdefault((part.task, part.shots), []).append(part)
    if not cells:
        raise EvaluationError("there are no scores. Run a learner first.")
    for (task, shots), parts in cells.items():
        parts.sort(key=lambda part: part.split)
        splits = [part.split for part in parts]
        if len(set(splits)) < len(splits) or len({part.texts for part in parts}) > 1:
            raise EvaluationError(
                f"{task}, {shots} shots: splits {splits} with tests of {sorted({len(p.texts) for p in parts})} items. "
                "Each split counts once, and all have one test; summarise one learner on one data set at a time."
            )
    return cells


def _measure(parts: Sequence[Scores], metric: Metric, seed: int) -> Measure:
    scores = 100 * _matrix(parts, metric)
    splits = scores.mean(1)
    sums, counts = _by_text(scores.mean(0), parts[0].texts)
    over_items = _over_items(sums, counts, seed)
    return Measure(float(splits.mean()), float(splits.std()), mean_of(splits), over_items)


def _matrix(parts: Sequence[Scores], metric: Metric) -> np.ndarray:
    """Scores of shape (splits, items)."""
    return np.array([getattr(part, metric) for part in parts], dtype=float)


def _by_text(items: np.ndarray, texts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the items of each text."""
    return np.bincount(texts, weights=items), np.bincount(texts).astype(float)


def _over_items(sums: np.ndarray, counts: np.ndarray, seed: int) -> Estimate:
    mean = float(sums.sum() / counts.sum())
    if len(sums) < 2:
        return Estimate(mean, float("nan"), float("nan"), len(sums), "none: one text")
    found = stats.bootstrap(
        (sums, counts),
        lambda s, c, axis: s.sum(axis) / c.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        random_state=np.random.default_rng(seed),  # pyright: ignore[reportCallIssue]  # its name in scipy 1.11
    ).confidence_interval
    return Estimate(
        mean, float(found.low), float(found.high), len(sums), f"bootstrap by text, {RESAMPLES} resamples"
    )


def _t_test(changes: np.ndarray) -> float | None:
    if not changes.any():
        return 1.0
    if np.ptp(changes) <= 1e-9 * np.abs(changes).max():  # also of a single split
        return None
    t = changes.mean() / stats.sem(changes)
    return float(2 * stats.t.sf(abs(t), len(changes) - 1))
