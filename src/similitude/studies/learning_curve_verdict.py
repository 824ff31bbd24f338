"""Whether measured learning curves are as predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.learning_curve_records import CurvePoint, MeasuredCurve

NEAR, FAR = 0.1, 0.2
"""Relative distances of predicted and measured errors that count as agreement: up to a quarter of the pool, and beyond,
where the last eigenvectors count, each of a few samples."""

_NOISY = 0.3  # half-width of an interval, relative, from which nothing is said of a point


def learning_curve_verdict(curves: Sequence[MeasuredCurve], *, pool: int, draws: int) -> Verdict:
    """Judge points of finite predictions: within 10 % (20 % beyond a quarter of the pool), or in their intervals.

    Args:
        curves: All curves.
        pool: Samples of the pool.
        draws: Draws per point.
    """
    points = [(curve.label, p) for curve in curves for p in curve.points if math.isfinite(p.predicted)]
    told = [(label, p) for label, p in points if _half(p) <= _NOISY]
    apart = [(label, p) for label, p in told if not _agrees(p, _near(p, pool))]
    worst = sorted(told, key=lambda pair: -abs(pair[1].off))[:5]
    evidence = tuple(
        Evidence(_words(label, p), p.off, _relative(p), f"within {_near(p, pool):g} of 0, or in the interval")
        for label, p in worst
    )
    if not told:
        return Verdict(
            Outcome.TOO_NOISY,
            f"errors of single draws are too far apart to judge any of {len(points)} points",
            next=f"--draws {4 * draws}",
        )
    middle = sorted(abs(p.off) for _, p in told)[len(told) // 2]
    summary = (
        f"{len(told) - len(apart)} of {len(told)} measured errors are as predicted; the median distance is "
        f"{100 * middle:.1f} %"
    )
    if len(apart) <= 0.05 * len(told):  # intervals of 95 % miss one in twenty
        return Verdict(Outcome.CONSISTENT, summary, evidence)
    causes = (
        "without a ridge, the last eigenvectors of a pool are each of a few samples, which no random draw resembles: "
        "look at smaller sizes, or at the best ridge",
        "random features of few networks are not Gaussian",
    )
    return Verdict(Outcome.INCONSISTENT, summary, evidence, causes, "a larger pool, for the same sizes")


def _near(point: CurvePoint, pool: int) -> float:
    return NEAR if point.n <= pool / 4 + 1 else FAR


def _agrees(point: CurvePoint, near: float) -> bool:
    low, high = point.interval
    return abs(point.off) <= near or low <= point.predicted <= high


def _half(point: CurvePoint) -> float:
    low, high = point.interval
    return (high - low) / 2 / point.mean if point.mean > 0 else math.inf


def _relative(point: CurvePoint) -> tuple[float, float]:
    """Return the interval of predicted over measured, minus 1."""
    low, high = point.interval
    return point.predicted / high - 1, (point.predicted / low - 1 if low > 0 else math.inf)


def _words(label: str, point: CurvePoint) -> str:
    kind = "the kernel" if point.features == math.inf else f"{point.features:g} features"
    return f"predicted over measured error - 1: {kind}, {point.n} samples, {label}"
