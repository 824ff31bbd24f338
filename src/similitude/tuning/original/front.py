"""The cost frontier of the published CARBS: repeated trials as one, and which of them are on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CHEAP = 0.2
"""Quantile of the costs up to which the frontier has one configuration, the best."""
RELATIVE, ABSOLUTE = 1e-5, 1e-8


@dataclass(frozen=True)
class Group:
    """The trials of one configuration.

    Attributes:
        rows: Their rows among the trials that succeeded.
        cost: Mean of their costs.
        value: Mean of their values, of which larger ones are better.
        best: The largest value.
    """

    rows: tuple[int, ...]
    cost: float
    value: float
    best: float


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two points count as one.

    Example:
        >>> same(np.array([1.0, 0.0]), np.array([1.000001, 0.0]))
        True
    """
    return bool((np.abs(a - b) <= ABSOLUTE + RELATIVE * np.abs(b)).all())


def group(x: np.ndarray, values: np.ndarray, costs: np.ndarray) -> list[Group]:
    """Gather the trials of one configuration, from the largest coordinates down.

    Args:
        x: Points, shape (n, d).
        values: Of which larger ones are better, shape (n,).
        costs: Shape (n,).
    """
    left = sorted(range(len(x)), key=lambda i: tuple(x[i]))
    groups = []
    while left:
        first = left.pop()
        rows = (first, *(i for i in reversed(left) if same(x[i], x[first])))
        left = [i for i in left if i not in rows]
        found = [float(values[i]) for i in rows]
        groups.append(
            Group(rows, float(np.mean([costs[i] for i in rows])), sum(found) / len(found), max(found))
        )
    return groups


def front(groups: Sequence[Group], costs: np.ndarray, *, careful: bool) -> list[Group]:
    """Return the groups of the frontier, by ascending cost.

    The first is the best of the cheap ones. Published, there is none where the means of all groups lie above the quantile
    of the single costs, and the search dies; here the cheapest group is always cheap.

    Args:
        groups: All groups.
        costs: Costs of the single trials.
        careful: Whether a repeated group comes before one that is not among the cheap, and a single trial must be better
            than the best of the group before rather than its mean.
    """
    limit = max(float(np.quantile(costs, CHEAP)), min(g.cost for g in groups))
    cheap = [g for g in groups if g.cost <= limit]
    if careful:
        cheap = [g for g in cheap if len(g.rows) > 1] or cheap
    found = [max(cheap, key=lambda g: g.value)]
    for g in sorted((g for g in groups if g.cost > limit), key=lambda g: g.cost):
        last = found[-1]
        if g.value > (last.best if careful and len(g.rows) == 1 else last.value):
            found.append(g)
    return found
