"""Pairs of factors that matter together: likelihood ratios of logistic models of being right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import special, stats

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import Factor, factors_of, judged
from similitude.scenes.analysis.shares import measured_of

SCENES_PER_COLUMN = 10
"""Scenes that a model needs for each of its columns (the rule of Peduzzi et al. 1996, for the rarer outcome)."""

RIDGE = 1e-4
"""Penalty that keeps coefficients finite where factors separate right from wrong; it moves likelihoods by less than
a chi-square test notices."""


@dataclass(frozen=True)
class Interaction:
    """A pair of factors.

    Attributes:
        first: A factor.
        second: Another.
        statistic: Twice the gain in log likelihood from products of both beside what each does alone.
        freedom: Degrees of freedom: products that were added.
        p: Of the hypothesis that neither changes what the other does, from the chi-square distribution.
        corrected: p after Holm for all pairs that were tried.
    """

    first: str
    second: str
    statistic: float
    freedom: int
    p: float
    corrected: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "factors": [self.first, self.second],
            "statistic": self.statistic,
            "freedom": self.freedom,
            "p": self.p,
            "corrected": self.corrected,
        }


@dataclass(frozen=True)
class Interactions:
    """All pairs.

    Attributes:
        pairs: Those that could be tested, the smallest p first.
        untested: Pairs with too few scenes for their columns, and why.
    """

    pairs: tuple[Interaction, ...]
    untested: tuple[tuple[str, str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "pairs": [pair.to_dict() for pair in self.pairs],
            "untested": [{"factors": [first, second], "why": why} for first, second, why in self.untested],
        }


def interactions(rows: Iterable[Row]) -> Interactions:
    """Test every pair of factors for an interaction in being right.

    A number enters as itself and its square, a name as one column per further name. A pair interacts if their products
    add more to the log likelihood than chance.

    Args:
        rows: Rows of one model whose answers are right or wrong.

    Raises:
        SceneError: There is no pair of factors, or the answers are all right or all wrong.
    """
    kept = judged(rows)
    y = measured_of(kept, "right")
    factors = factors_of(kept)
    if len(factors) < 2:
        raise SceneError(f"{len(factors)} factors differ between these scenes, and an interaction takes two.")
    if np.nanmin(y) == np.nanmax(y):
        raise SceneError(
            f"all {len(kept)} answers are {'right' if np.nanmin(y) else 'wrong'}: nothing is to be told apart."
        )
    found: list[tuple[str, str, float, int, float]] = []
    untested: list[tuple[str, str, str]] = []
    for first, second in combinations(factors.values(), 2):
        a, b = columns_of(first), columns_of(second)
        known = np.isfinite(a).all(1) & np.isfinite(b).all(1) & np.isfinite(y)
        a, b, right = a[known], b[known], y[known]
        rarer = int(min(right.sum(), len(right) - right.sum()))
        width = a.shape[1] + b.shape[1] + a.shape[1] * b.shape[1]
        if rarer < (needed := SCENES_PER_COLUMN * width // 2):
            untested.append(
                (first.name, second.name, f"{rarer} scenes of the rarer outcome, {needed} needed")
            )
            continue
        products = (a[:, :, None] * b[:, None, :]).reshape(len(a), a.shape[1] * b.shape[1])
        alone = np.concatenate([a, b], 1)
        freedom = _rank(np.concatenate([alone, products], 1)) - _rank(alone)
        if not freedom:
            untested.append((first.name, second.name, "the scenes do not have them apart"))
            continue
        statistic = max(0.0, likelihood_ratio(alone, np.concatenate([alone, products], 1), right))
        found.append((first.name, second.name, statistic, freedom, float(stats.chi2.sf(statistic, freedom))))
    corrected = holm([one[-1] for one in found])
    pairs = [Interaction(*one, p) for one, p in zip(found, corrected, strict=True)]
    return Interactions(tuple(sorted(pairs, key=lambda one: one.p)), tuple(untested))


def likelihood_ratio(less: np.ndarray, more: np.ndarray, right: np.ndarray) -> float:
    """Return twice the gain in log likelihood of a logistic model from further columns.

    Args:
        less: Columns of the smaller model, shape (scenes, columns); an intercept is added.
        more: Columns of the larger one, which contains the smaller.
        right: 1 or 0, shape (scenes,).
    """
    return 2 * (_log_likelihood(more, right) - _log_likelihood(less, right))


def holm(ps: list[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(ps, kind="stable")
    out, highest = [0.0] * len(ps), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[i]))
        out[int(i)] = highest
    return out


def columns_of(factor: Factor) -> np.ndarray:
    """Return a factor as columns of a model: a number standardised and its square, a name as 0 and 1 per further name."""
    x = factor.numbers
    if not factor.numeric or len(factor.names) == 2:
        levels = np.unique(x[np.isfinite(x)])[1:]
        return np.where(np.isfinite(x)[:, None], (x[:, None] == levels).astype(float), np.nan)
    scaled = (x - np.nanmean(x)) / np.nanstd(x)
    return np.stack([scaled, scaled**2 - 1], 1)


def _log_likelihood(columns: np.ndarray, right: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression

    if not columns.shape[1]:  # the intercept alone: every scene has the mean
        return -len(right) * float(special.entr([right.mean(), 1 - right.mean()]).sum())
    model = LogisticRegression(C=1 / RIDGE, tol=1e-8, max_iter=2_000, solver="newton-cholesky").fit(
        columns, right
    )
    margins = columns @ model.coef_[0] + model.intercept_[0]
    return float(-np.logaddexp(0, np.where(right > 0, -margins, margins)).sum())


def _rank(columns: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(np.column_stack([np.ones(len(columns)), columns])))
