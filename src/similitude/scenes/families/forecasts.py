"""What the smallest width forecasts of the largest: the order of some quantities, and how far each moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from similitude.core.plain import finite
from similitude.evaluation.aggregate import Estimate, mean_of
from similitude.evaluation.rows import Row
from similitude.scenes.families.robustness import ratios

ROBUSTNESS = "robustness under shifts"


@dataclass(frozen=True)
class Forecast:
    """How well the smallest width tells of the largest.

    Attributes:
        what: What is compared.
        subject: At which rate both were trained.
        rule: Parametrization.
        small: Mean over seeds at the smallest width, by name.
        large: Likewise at the largest.
        rank_correlation: Spearman's, of `small` and `large` over the names that both have; nan for fewer than three, or
            where all of one are alike.
        by_seed: The same between runs of one seed, mean with its t-interval, cut off at -1 and 1; None where no seed has
            one.
        changes: From the smallest to the largest within seeds, mean with its t-interval, by name.
    """

    what: str
    subject: str
    rule: str
    small: Mapping[str, float]
    large: Mapping[str, float]
    rank_correlation: float
    by_seed: Estimate | None
    changes: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "what": self.what,
                "subject": self.subject,
                "rule": self.rule,
                "small": dict(self.small),
                "large": dict(self.large),
                "rank_correlation": self.rank_correlation,
                "by_seed": None if self.by_seed is None else self.by_seed.to_dict(),
                "changes": {name: one.to_dict() for name, one in self.changes.items()},
            }
        )


def forecast(
    small: Sequence[Row], large: Sequence[Row], shifts: Sequence[str], *, subject: str, rule: str
) -> Forecast:
    """Compare the robustness of two sizes under each shift.

    Args:
        small: Runs of the smallest width, a row per seed.
        large: Runs of the largest.
        shifts: Names of shifts.
        subject: At which rate they were trained.
        rule: Parametrization.
    """
    values = [
        {row.seed: ratios(row, shifts) for row in rows if not row.failed and row.score > 0}
        for rows in (small, large)
    ]
    return compared(ROBUSTNESS, *values, subject=subject, rule=rule)


def compared(
    what: str,
    small: Mapping[int | None, Mapping[str, float]],
    large: Mapping[int | None, Mapping[str, float]],
    *,
    subject: str,
    rule: str,
) -> Forecast:
    """Compare quantities of two sizes.

    Args:
        what: What they are.
        small: By seed, then by name, at the smallest width.
        large: Likewise at the largest.
        subject: At which rate both were trained.
        rule: Parametrization.
    """
    first, second = _means(small), _means(large)
    both = [seed for seed in small if seed in large]
    by_seed = [rank_correlation(small[seed], large[seed]) for seed in both]
    by_seed = [value for value in by_seed if math.isfinite(value)]
    changes: dict[str, list[float]] = {}
    for seed in both:
        for name, value in small[seed].items():
            if name in large[seed]:
                changes.setdefault(name, []).append(large[seed][name] - value)
    return Forecast(
        what=what,
        subject=subject,
        rule=rule,
        small=first,
        large=second,
        rank_correlation=rank_correlation(first, second),
        by_seed=_within(mean_of(by_seed)) if by_seed else None,
        changes={name: mean_of(values) for name, values in changes.items()},
    )


def rank_correlation(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return Spearman's rank correlation over the names that both have; nan for fewer than three or where all are alike.

    Example:
        >>> rank_correlation({"a": 1, "b": 2, "c": 3}, {"a": 0.1, "b": 0.5, "c": 0.7, "d": 0})
        1.0
    """
    names = [name for name in first if name in second]
    x, y = ([values[name] for name in names] for values in (first, second))
    if len(names) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return math.nan
    found: Any = stats.spearmanr(x, y)  # whose type scipy does not tell
    return round(float(found.statistic), 12)


def _within(correlation: Estimate) -> Estimate:
    if correlation.interval is None:
        return correlation
    low, high = correlation.interval
    return replace(correlation, low=max(low, -1.0), high=min(high, 1.0))


def _means(values: Mapping[int | None, Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in values.values() for name in one)
    return {name: float(np.mean([one[name] for one in values.values() if name in one])) for name in names}
