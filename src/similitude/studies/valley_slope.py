"""The slope of a valley of (learning rate, multiplier), how it changes with the depth, and what that means (paper 13)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from similitude.checking.slopes import fit
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve
from similitude.studies.valley_records import Valley, ValleyPoint

LEAST = 3
"""Learning rates with a bracketed best multiplier that a slope is trusted from."""

TOLERANCE = 0.3
"""Change of the slope over depths that counts as none: between a product that is kept and one that is not lies 1."""


def valley_at(
    size: Mapping[str, int], lrs: Sequence[float], multipliers: Sequence[float], losses: np.ndarray
) -> Valley:
    """Find the best multiplier at every learning rate, and the slope of its logarithm.

    Args:
        size: Value of every dial.
        lrs: Learning rates, increasing.
        multipliers: Multipliers, increasing.
        losses: Final losses, shape (rates, multipliers, seeds); nan or inf where a run diverged.

    Example:
        >>> a = 2.0 ** np.arange(-6, 7)
        >>> losses = [[[math.exp((math.log(x) + 1.5 * math.log(lr)) ** 2)] for x in a] for lr in (0.5, 1.0, 2.0)]
        >>> round(valley_at({"width": 8}, (0.5, 1.0, 2.0), a, np.array(losses)).slope, 6)
        -1.5
    """
    # Every rate is a curve over the multiplier; its number in place of a size keeps the draws of rates independent.
    curves = [
        Curve(number, tuple(map(float, multipliers)), tuple(map(tuple, table.tolist())))
        for number, table in enumerate(losses)
    ]
    optima = [optimum(curve) for curve in curves]
    points = tuple(
        ValleyPoint(float(lr), best.lr, best.interval, best.edge, curve.losses)
        for lr, best, curve in zip(lrs, optima, curves, strict=True)
    )
    inside = [(lr, best) for lr, best in zip(lrs, optima, strict=True) if best.bracketed]
    line = (
        fit([lr for lr, _ in inside], [[best.lr or math.nan] for _, best in inside])
        if len(inside) > 1
        else None
    )
    if line is None:
        return Valley(dict(size), tuple(map(float, multipliers)), points, None, None)
    octaves = np.log2([lr for lr, _ in inside])
    weights = (octaves - octaves.mean()) / ((octaves - octaves.mean()) ** 2).sum()
    # Two points lie on a line, whatever the noise: then draws alone say how well it is known.
    interval = (line.low, line.high) if len(inside) > 2 else None
    if all(best.draws for _, best in inside):
        low, high = np.quantile(weights @ np.array([best.draws for _, best in inside]), [0.025, 0.975])
        off = interval or (line.value, line.value)
        interval = (min(float(low), off[0]), max(float(high), off[1]))
    return Valley(dict(size), tuple(map(float, multipliers)), points, line.value, interval)


def change_of(valleys: Sequence[Valley]) -> tuple[float | None, tuple[float, float] | None]:
    """Return the slope of the last valley less that of the first, and its 95 % interval.

    Args:
        valleys: By increasing depth.

    Example:
        >>> made = [Valley({"width": 8, "depth": d}, (), (), s, (s - 0.3, s + 0.4)) for d, s in ((1, -2.0), (16, -1.0))]
        >>> change, (low, high) = change_of(made)
        >>> change, round(low, 6), round(high, 6)
        (1.0, 0.5, 1.5)
    """
    first, last = valleys[0], valleys[-1]
    if len(valleys) < 2 or first.slope is None or last.slope is None:
        return None, None
    change = last.slope - first.slope
    if first.interval is None or last.interval is None:
        return change, None
    # Errors of different depths are independent, and each side of an interval has a length of its own.
    below = math.hypot(last.slope - last.interval[0], first.interval[1] - first.slope)
    above = math.hypot(last.interval[1] - last.slope, first.slope - first.interval[0])
    return change, (change - below, change + above)


def judge(valleys: Sequence[Valley], change: float | None, interval: tuple[float, float] | None) -> Verdict:
    """Say whether valleys have a slope, and whether it is the same at every depth.

    Args:
        valleys: By increasing depth.
        change: Slope of the last less that of the first.
        interval: Its 95 % interval.
    """
    evidence = [
        Evidence(
            f"slope at {_name(valley)}", valley.slope, valley.interval, "-1 where rate x multiplier is kept"
        )
        for valley in valleys
    ]
    for valley in valleys:
        if len(valley.bracketed) < LEAST:
            return _too_few(valley, tuple(evidence))
    slopes = [f"{valley.slope:.2f} at {_name(valley)}" for valley in valleys]
    summary = f"the best multiplier goes with the learning rate to the power of {', '.join(slopes)}"
    if change is None:
        return Verdict(Outcome.OK, summary, tuple(evidence))
    evidence.append(
        Evidence("change of the slope with the depth", change, interval, f"within {TOLERANCE:g} of 0")
    )
    low, high = interval or (-math.inf, math.inf)
    if abs(change) > TOLERANCE and not low <= 0 <= high:
        return Verdict(
            Outcome.SHIFTS,
            f"{summary}: no pair of exponents keeps the best multipliers of both depths",
            tuple(evidence),
            (
                "blocks of two layers and more, which become linear in their updates as the network becomes deeper",
                "multipliers at which the network blows up at initialization: they hold the valley's upper end",
            ),
            "tune the rate and the multiplier at the target depth, or compare with blocks of one layer",
        )
    if abs(change) <= TOLERANCE and low >= -2 * TOLERANCE and high <= 2 * TOLERANCE:
        return Verdict(Outcome.CONSISTENT, summary, tuple(evidence))
    return Verdict(Outcome.CANNOT_TELL, summary, tuple(evidence), next="more seeds, or more learning rates")


def _too_few(valley: Valley, evidence: tuple[Evidence, ...]) -> Verdict:
    found, rates = len(valley.bracketed), len(valley.points)
    where = f"at {found} of {rates} learning rates of {_name(valley)}; a slope takes {LEAST}"
    if all(point.multiplier is None for point in valley.points):
        text = f"every run diverged at {_name(valley)}"
        return Verdict(
            Outcome.DIVERGED, text, evidence, ("the learning rates are too large",), "smaller rates"
        )
    edges = [point.edge for point in valley.points]
    low, high = edges.count("low"), edges.count("high")
    if not low and not high:
        return Verdict(
            Outcome.CANNOT_TELL, f"the best multiplier is known {where}", evidence, next="more learning rates"
        )
    side = f"below {valley.multipliers[0]:g}" if low >= high else f"above {valley.multipliers[-1]:g}"
    return Verdict(
        Outcome.NOT_BRACKETED,
        f"the best multiplier is bracketed {where}",
        evidence,
        ("the multipliers do not reach far enough", "branches that the network does not need"),
        f"multipliers {side}, or more seeds",
    )


def _name(valley: Valley) -> str:
    return ", ".join(f"{dial} {value}" for dial, value in valley.size.items())
