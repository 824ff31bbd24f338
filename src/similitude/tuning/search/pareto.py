"""The cost-quality front: what the best value was at every cost, from noisy and repeated trials.

Source: paper 10, Section 3 (the Pareto front that the search stays close to). Repeated trials count by their mean here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from similitude.tuning.trials.history import History

CHEAP = 0.2
"""Part of the trials that counts as cheapest: the front begins with the best of them."""


@dataclass(frozen=True)
class Groups:
    """Trials by configuration, cheapest first.

    Attributes:
        points: Configurations, shape (g, d).
        costs: Mean costs, shape (g,).
        values: Mean values of which larger ones are better, shape (g,).
        counts: Trials of each, shape (g,).
        newest: Number of the last trial of each, shape (g,).
    """

    points: np.ndarray
    costs: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    newest: np.ndarray

    def __len__(self) -> int:
        return len(self.costs)

    @classmethod
    def of(cls, history: History) -> Groups:
        """Group the trials of a study that are of one configuration; their costs are averaged in logarithms."""
        if not len(history.points):
            none = np.empty(0)
            return cls(history.points, none, none, none.astype(int), none.astype(int))
        _, first, inverse = np.unique(
            np.round(history.points, 9), axis=0, return_index=True, return_inverse=True
        )
        inverse = inverse.ravel()
        counts = np.bincount(inverse)
        costs = np.exp(np.bincount(inverse, np.log(history.costs)) / counts)
        values = np.bincount(inverse, history.signed) / counts
        newest = np.zeros(len(first), int)
        np.maximum.at(newest, inverse, history.numbers)
        every = cls(history.points[first], costs, values, counts, newest)
        return every.only(np.lexsort((first, costs)))

    def only(self, index: np.ndarray) -> Groups:
        """Return some of the groups, by their places."""
        return Groups(
            *(part[index] for part in (self.points, self.costs, self.values, self.counts, self.newest))
        )

    def front(self) -> np.ndarray:
        """Return the indices of the groups that none at most as dear is better than, cheapest first.

        The first is the best of the cheapest fifth, so that one cheap and bad trial is no origin of the search.

        Example:
            >>> costs, values = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
            >>> groups = Groups(np.zeros((4, 1)), costs, values, *np.ones((2, 4), int))
            >>> groups.front()
            array([0, 1, 3])
        """
        cheap = max(1, round(CHEAP * len(self)))
        found = [int(np.argmax(self.values[:cheap]))]
        for index in range(cheap, len(self)):
            if self.values[index] > self.values[found[-1]]:
                found.append(index)
        return np.array(found)


@dataclass(frozen=True)
class Staircase:
    """The best value as a function of cost: a step up at every member of a front.

    Attributes:
        costs: Logarithms (base 10) of the costs of its steps, ascending, shape (s,).
        values: Values from each step on, ascending, shape (s,).
    """

    costs: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, log_costs: np.ndarray, values: np.ndarray) -> Staircase:
        """Return the staircase of some points; those below it are left out."""
        order = np.lexsort((-values, log_costs))
        best = np.maximum.accumulate(values[order])
        up = np.r_[True, best[1:] > best[:-1]]
        return cls(log_costs[order][up], best[up])

    def at(self, log_cost: np.ndarray | float) -> np.ndarray:
        """Return the best value at a cost; -inf below the cheapest.

        Example:
            >>> Staircase(np.array([0.0, 1.0]), np.array([2.0, 3.0])).at(np.array([-1.0, 0.5, 2.0]))
            array([-inf,   2.,   3.])
        """
        index = np.searchsorted(self.costs, log_cost, side="right") - 1
        return np.where(index < 0, -np.inf, self.values[np.maximum(index, 0)])

    def levels(self, worst: float, end: float) -> Iterator[tuple[float, float, float]]:
        """Give the intervals of log cost on which the best value is constant: beginning, end and the value.

        Args:
            worst: The value that counts below the cheapest step.
            end: Logarithm of the largest cost that matters.
        """
        edges = np.r_[-np.inf, self.costs, max(end, float(self.costs[-1]))]
        for low, high, value in zip(edges[:-1], edges[1:], np.r_[worst, self.values], strict=True):
            yield float(low), float(high), float(value)
