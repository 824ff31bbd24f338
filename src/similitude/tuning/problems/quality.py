"""How good the frontier of a run is: hypervolume, and gaps to the true frontier."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.tuning.problems.problem import Problem
from similitude.tuning.problems.runs import Record

COSTS_COMPARED, COSTS_SUMMED = 25, 800


@dataclass(frozen=True)
class Incumbent:
    """The configuration that is chosen at costs from `cost` on, with its value without noise."""

    cost: float
    value: float


@dataclass(frozen=True)
class Quality:
    """What some trials of a run are worth.

    Attributes:
        hypervolume: Area under the reference of the incumbents over log10 cost, as a share of the true frontier's.
        gap: Mean distance of the incumbents' value to the frontier's over 25 costs, evenly spaced in log cost.
        gap_at_cap: That distance at the dearest cost.
        spent: Sum of charged costs, in caps.
        failures: Number of trials that failed.
    """

    hypervolume: float
    gap: float
    gap_at_cap: float
    spent: float
    failures: int


def incumbents(records: Sequence[Record]) -> list[Incumbent]:
    """Return the configuration that a user would choose at each cost: the best *measured* one that is no dearer.

    Luck is not rewarded: what counts as its value is that without noise, so a dearer incumbent may be a worse one.

    Example:
        >>> trials = [Record(0, {}, 5.0, 5.1, 1.0, None, 0), Record(1, {}, 4.0, 5.2, 2.0, None, 0)]
        >>> incumbents(trials)
        [Incumbent(cost=1.0, value=5.1), Incumbent(cost=2.0, value=5.2)]
    """
    chosen, best = [], math.inf
    for record in sorted((r for r in records if not r.failure), key=lambda r: r.cost):
        if record.value < best:
            best = record.value
            chosen.append(Incumbent(record.cost, record.truth))
    return chosen


def hypervolume(points: Sequence[Incumbent], *, cap: float, worst: float) -> float:
    """Return the area between points and a reference point, over log10 cost and value, both to be small.

    Args:
        points: Costs and values, in any order.
        cap: Cost of the reference point.
        worst: Its value.

    Example:
        >>> hypervolume([Incumbent(1.0, 2.0), Incumbent(10.0, 1.0)], cap=100.0, worst=3.0)
        3.0
    """
    area, best = 0.0, worst
    for point in sorted(points, key=lambda p: (p.cost, p.value)):
        if point.cost < cap and point.value < best:
            area += math.log10(cap / point.cost) * (best - point.value)
            best = point.value
    return area


def quality(problem: Problem, records: Sequence[Record]) -> Quality:
    """Return what trials of a run are worth.

    Args:
        problem: The problem that they are of.
        records: The trials in their order; a part of a run from its first trial on says what it had reached.
    """
    chosen = incumbents(records)
    costs = np.geomspace(*problem.costs, COSTS_COMPARED)
    gaps = [min(_at(chosen, cost, problem.worst), problem.worst) - problem.front(cost) for cost in costs]
    area = hypervolume(chosen, cap=problem.cap, worst=problem.worst)
    return Quality(
        hypervolume=area / _true_hypervolume(problem),
        gap=float(np.mean(gaps)),
        gap_at_cap=gaps[-1],
        spent=sum(r.cost for r in records) / problem.cap,
        failures=sum(r.failure is not None for r in records),
    )


def affordable(problem: Problem, records: Sequence[Record], *, caps: float) -> list[Record]:
    """Return the first trials of a run whose costs come to at most some caps.

    Args:
        problem: The problem that they are of.
        records: The trials in their order.
        caps: What may be spent, as a multiple of the problem's cap.
    """
    spent = np.cumsum([r.cost for r in records]) <= caps * problem.cap
    return [record for record, within in zip(records, spent, strict=True) if within]


@functools.lru_cache(maxsize=32)
def _true_hypervolume(problem: Problem) -> float:
    """The area of the frontier, from the cheapest cost on."""
    costs = np.geomspace(problem.cheapest, problem.cap, COSTS_SUMMED)
    points = [Incumbent(float(cost), problem.front(float(cost))) for cost in costs]
    return hypervolume(points, cap=problem.cap, worst=problem.worst)


def _at(chosen: Sequence[Incumbent], cost: float, otherwise: float) -> float:
    """The value of the incumbent at some cost."""
    return next((point.value for point in reversed(chosen) if point.cost <= cost), otherwise)
