"""The cheapest further training runs that would halve the interval of a forecast: at which size, with how many seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from similitude.scaling.plan import Plan
from similitude.scaling.sizes import DEPTH
from similitude.studies.extrapolation import Line, predictor, spreads
from similitude.studies.forecast_records import NextRun
from similitude.studies.next_steps import sizes_option
from similitude.studies.noise import Array
from similitude.studies.records import Curve

SEEDS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
"""Numbers of seeds that are considered for a size."""

HALF = 0.5
_HALF_INTERVAL = 1.959964  # standard deviations of half a 95 % interval

Work = Callable[[float], float]
"""Work of one training run at a value of the dial, in runs of the study's largest size."""


def next_run(
    line: Line, curves: Sequence[Curve], target: float, *, work: Work, length: float
) -> NextRun | None:
    """Find the cheapest runs after which the fitted value at a target is known twice as well.

    The variance of a size's optimum falls as one over its seeds, and a new size has the median variance of those
    measured. Sizes up to half the target are considered: whoever trains at the target itself needs no forecast. All
    learning rates of the study are run, and the base gets as many seeds as the other size, as `similitude transfer`
    runs them.

    Args:
        line: The optima and the line through them.
        curves: Their curves, in the same order.
        target: log2 of the target's value of the dial.
        work: Work of one run by size.
        length: Length of the interval that is to be halved, in octaves.

    Returns:
        The cheapest that was found; None where none of them halves it.
    """
    seeds = np.array([max(len(row) for row in curve.losses) for curve in curves])
    variance = spreads(line.draws) ** 2 * line.scatter**2
    sizes = [curve.size for curve in curves]
    rates = max(len(curve.lrs) for curve in curves)
    dial = curves[0].dial
    found: list[NextRun] = []
    for size in [*sizes, *_larger(sizes[-1], target)]:
        for count in SEEDS:
            known = sizes.index(size) if size in sizes else None
            more_at_base = max(0, count - int(seeds[0])) if size != sizes[0] else 0
            more = count - (0 if known is None else int(seeds[known]))
            if more <= 0:
                continue
            after = variance.copy()
            after[0] *= seeds[0] / (seeds[0] + more_at_base)
            x = line.x
            if known is None:
                x = np.append(x, math.log2(size))
                after = np.append(after, np.median(variance * seeds) / count)
            else:
                after[known] = variance[known] * seeds[known] / count
            predicted = 2 * _HALF_INTERVAL * _deviation(x, after, target)
            if predicted <= HALF * length:
                cost = rates * (more * work(size) + more_at_base * work(sizes[0]))
                runs = rates * (more + more_at_base)
                listed = sizes_option(dial, [sizes[0], size] if size != sizes[0] else sizes)
                options = f"{listed} --seeds {count}"
                found.append(NextRun(size, dial, count, runs, cost, predicted, options))
                break  # more seeds cost more
    return min(found, key=lambda run: run.cost, default=None)


def work_of(plan: Plan | None, dial: str, sizes: Sequence[int]) -> Work:
    """Return the work of a training run by size, counted in parameters.

    Over widths every side of a tensor that differs between the plan's two sizes is taken to grow along a straight
    line; over depths the tensors of residual branches are counted as often as there are branches.

    Args:
        plan: From the smallest to the largest size; without one the work goes as width^2, or as the depth.
        dial: The dial that changes.
        sizes: The measured sizes, increasing.
    """
    first, last = sizes[0], sizes[-1]

    def parameters(size: float) -> float:
        if plan is None or first == last:
            return size if dial == DEPTH else size**2
        share = (size - first) / (last - first)
        total = 0.0
        for row in plan.rows:
            if dial == DEPTH:
                total += math.prod(row.shape) * (size / last if row.depth_ratio != 1 else 1.0)
            else:
                sides = zip(row.base_shape, row.shape, strict=True)
                total += math.prod(low + share * (high - low) for low, high in sides)
        return total

    largest = parameters(last)
    return lambda size: parameters(size) / largest


def _larger(largest: int, target: float) -> list[int]:
    """Sizes beyond the largest, each twice the one before, up to half the target."""
    count = max(0, math.floor(target - 1 - math.log2(largest) + 1e-9))
    return [largest * 2**k for k in range(1, count + 1)]


def _deviation(x: Array, variance: Array, target: float) -> float:
    weights = predictor(x, target)
    return math.sqrt(float(weights**2 @ variance))
