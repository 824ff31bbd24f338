"""Two models on the same scenes: paired tests of accuracy and loss, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from similitude.core.errors import EvaluationError, SceneError
from similitude.evaluation.aggregate import Estimate, Paired, paired
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import BINS, bins_of, factors_of, judged
from similitude.scenes.analysis.shares import share_of


@dataclass(frozen=True)
class LevelDifference:
    """Both models at one value of a factor.

    Attributes:
        factor: The factor.
        level: The value, or the ends of the bin.
        first: Accuracy of the first (Wilson).
        second: Accuracy of the second (Wilson).
        p: Exact McNemar test of equal accuracy there, after Holm for all levels of all factors.
    """

    factor: str
    level: str
    first: Estimate
    second: Estimate
    p: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "factor": self.factor,
            "level": self.level,
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "p": self.p,
        }


@dataclass(frozen=True)
class Comparison:
    """Two models on the scenes that both have answers for.

    Attributes:
        first: Name of a model.
        second: Name of the one to compare with.
        scenes: Scenes that both judged.
        unshared: Scenes that one of them lacks.
        accuracy: Of the first and of the second (Wilson).
        both: Scenes that both have right.
        only_first: Scenes that the first alone has right.
        only_second: Scenes that the second alone has right.
        neither: Scenes that neither has right.
        p: Exact McNemar test of equal accuracy, two-sided.
        score: Paired difference of scores, first minus second, with a bootstrap interval over scenes.
        loss: The same of losses; None where rows have none.
        agreement: Share of scenes with the same predicted class (Wilson); None where rows have none.
        levels: By factor and value, the smallest p first.
    """

    first: str
    second: str
    scenes: int
    unshared: int
    accuracy: tuple[Estimate, Estimate]
    both: int
    only_first: int
    only_second: int
    neither: int
    p: float
    score: Paired
    loss: Paired | None
    agreement: Estimate | None
    levels: tuple[LevelDifference, ...]

    @property
    def summary(self) -> str:
        """What was found, in a sentence."""
        better, worse = (self.first, self.second)
        if self.only_second > self.only_first:
            better, worse = worse, better
        apart = f"{100 * abs(self.accuracy[0].value - self.accuracy[1].value):.1f} points"
        if self.p >= 0.05:
            return (
                f"On {self.scenes} shared scenes {self.first} and {self.second} cannot be told apart by accuracy: they "
                f"are {apart} apart (exact McNemar test, p = {self.p:.2g})."
            )
        return (
            f"On {self.scenes} shared scenes {better} is right {apart} more often than {worse} (exact McNemar test, "
            f"p = {self.p:.2g})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "summary": self.summary,
            "scenes": self.scenes,
            "unshared": self.unshared,
            "accuracy": [one.to_dict() for one in self.accuracy],
            "both": self.both,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "neither": self.neither,
            "p": self.p,
            "score": self.score.to_dict(),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "agreement": None if self.agreement is None else self.agreement.to_dict(),
            "levels": [level.to_dict() for level in self.levels],
        }


def compare(first: Iterable[Row], second: Iterable[Row], *, bins: int = BINS, seed: int = 0) -> Comparison:
    """Compare two models, or two versions of one, on the scenes that both judged.

    Args:
        first: Rows of a model that calls answers right or wrong.
        second: Rows of another.
        bins: Bins of factors with many different numbers.
        seed: Seed of the bootstraps.

    Returns:
        The comparison. Models of one name are called "NAME (first)" and "NAME (second)".

    Raises:
        SceneError: They share fewer than two scenes, answers are not right or wrong, or rows are of several models.

    Source: McNemar (1947), exact as binomial.
    """
    mine, theirs = judged(first), judged(second)
    names = (mine[0].subject, theirs[0].subject)
    if names[0] == names[1]:
        names = (f"{names[0]} (first)", f"{names[1]} (second)")
    by_item = [
        {row.item: replace(row, subject=name) for row in rows}
        for name, rows in zip(names, (mine, theirs), strict=True)
    ]
    shared = [item for item in by_item[0] if item in by_item[1]]
    a, b = ([rows[item] for item in shared] for rows in by_item)
    if any(row.success is None for row in (*a, *b)):
        raise SceneError(
            "these rows have no right and wrong answers, which McNemar's test is about. Use the evaluator "
            "'classification'."
        )
    try:
        score = paired([*a, *b], *names, seed=seed)
    except EvaluationError as error:
        raise SceneError(
            f"the two runs share {len(shared)} scenes of {len(by_item[0])} and {len(by_item[1])}, and a comparison takes "
            "at least two. Run both models on one study: the same objects, controls, policy, seed and renderer."
        ) from error
    right = np.array([[bool(x.success), bool(y.success)] for x, y in zip(a, b, strict=True)])
    table = _table(right)
    said = [
        x.metrics["prediction"] == y.metrics["prediction"]
        for x, y in zip(a, b, strict=True)
        if "prediction" in x.metrics and "prediction" in y.metrics
    ]
    return Comparison(
        *names,
        len(shared),
        len(by_item[0]) + len(by_item[1]) - 2 * len(shared),
        (share_of(right[:, 0]), share_of(right[:, 1])),
        *table,
        mcnemar(table[1], table[2]),
        score,
        _losses(a, b, names, seed),
        share_of(said) if said else None,
        _levels(a, right, bins),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of the exact McNemar test.

    Example:
        >>> mcnemar(5, 0), mcnemar(0, 0)
        (0.0625, 1.0)
    """
    changed = only_first + only_second
    return float(stats.binomtest(only_first, changed).pvalue) if changed else 1.0


def _table(right: np.ndarray) -> tuple[int, int, int, int]:
    """Return how many scenes both, only the first, only the second, and neither has right."""
    a, b = right[:, 0], right[:, 1]
    return int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum())


def _losses(a: Sequence[Row], b: Sequence[Row], names: tuple[str, str], seed: int) -> Paired | None:
    """Compare losses as scores are: a win is a higher loss."""
    pairs = [
        (x, y)
        for x, y in zip(a, b, strict=True)
        if all(np.isfinite(z.metrics.get("loss", np.nan)) for z in (x, y))
    ]
    if len(pairs) < 2:
        return None
    rows = [replace(row, score=row.metrics["loss"]) for pair in pairs for row in pair]
    return paired(rows, *names, seed=seed)


def _levels(rows: Sequence[Row], right: np.ndarray, bins: int) -> tuple[LevelDifference, ...]:
    from similitude.scenes.analysis.pairs import holm

    found = []
    for factor in factors_of(rows).values():
        for one in bins_of(factor, bins):
            mine = right[list(one.places)]
            _, only_first, only_second, _ = _table(mine)
            found.append(
                LevelDifference(
                    factor.name,
                    one.name,
                    share_of(mine[:, 0]),
                    share_of(mine[:, 1]),
                    mcnemar(only_first, only_second),
                )
            )
    corrected = holm([one.p for one in found])
    out = [replace(one, p=p) for one, p in zip(found, corrected, strict=True)]
    return tuple(sorted(out, key=lambda one: (one.p, -abs(one.first.value - one.second.value))))
