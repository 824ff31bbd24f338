"""What measurements of claims end with: a verdict on whether the statement holds, and intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from similitude.checking.slopes import Slope
from similitude.claims.registry import Measured
from similitude.core.chart import Chart
from similitude.core.verdict import Evidence, Outcome, Verdict

WIDTH_EXPONENT = "exponent of width"


def judged(
    holds: bool,
    value: float,
    unit: str,
    summary: str,
    evidence: Sequence[Evidence],
    interval: tuple[float, float] | None = None,
    *,
    figures: Sequence[Chart] = (),
) -> Measured:
    """Return what was measured, with the verdict that the statement holds or does not.

    Args:
        holds: Whether it holds.
        value: The number that stands for the measurement.
        unit: Its unit.
        summary: The measurement in a sentence.
        evidence: The numbers behind it.
        interval: 95 % interval of the value; None where it has none.
        figures: Figures of the paper redrawn from what was measured.

    Example:
        >>> judged(True, 2.0, "ratio", "the ratio is 2", ()).verdict.ok
        True
    """
    outcome = Outcome.OK if holds else Outcome.INCONSISTENT
    return Measured(value, interval, unit, Verdict(outcome, summary, tuple(evidence)), tuple(figures))


def judged_slopes(
    holds: bool,
    summary: str,
    shown: Slope,
    rows: Sequence[tuple[str, Slope]],
    *,
    figures: Sequence[Chart] = (),
) -> Measured:
    """Return what was measured where it is exponents of width, of which one is shown.

    Args:
        holds: Whether the statement holds.
        summary: The measurement in a sentence.
        shown: The exponent that stands for all.
        rows: All exponents by name.
        figures: Figures of the paper redrawn from what was measured.
    """
    evidence = tuple(Evidence(name, slope.value, (slope.low, slope.high)) for name, slope in rows)
    return judged(
        holds, shown.value, WIDTH_EXPONENT, summary, evidence, (shown.low, shown.high), figures=figures
    )


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % t-interval of the mean of some values, one per seed.

    Example:
        >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    mean, half = float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean - half, mean + half
