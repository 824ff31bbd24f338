"""The final answer of a study: the configuration that is believed to be best at a cost, not the luckiest sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from similitude.core.errors import NotEnoughEvidenceError
from similitude.tuning.search.pareto import Groups
from similitude.tuning.search.surrogates import CostOf, Surrogates
from similitude.tuning.trials.history import History

LEVEL = 0.9
"""Probability of the interval of a value."""


@dataclass(frozen=True)
class Best:
    """A configuration that was run, with what is believed of it.

    Attributes:
        values: The configuration.
        value: Its believed value, in the objective's own units.
        low: Lower end of the 90 % interval of the value without noise.
        high: Upper end.
        replicates: Trials of it.
        cost: Their mean cost.
        numbers: The numbers of these trials.
    """

    values: dict[str, Any]
    value: float
    low: float
    high: float
    replicates: int
    cost: float
    numbers: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "values": self.values,
            "value": self.value,
            "interval": [self.low, self.high],
            "replicates": self.replicates,
            "cost": self.cost,
            "trials": list(self.numbers),
        }


def best(history: History, cost: float = math.inf) -> Best:
    """Return the configuration believed to be best among those that cost no more.

    Args:
        history: What the study has shown.
        cost: What it may cost; any where infinite.

    Raises:
        NotEnoughEvidenceError: No trial with a value is that cheap.
    """
    affordable = [answer for answer in best_front(history) if answer.cost <= cost]
    if not affordable:
        cheapest = (
            f"the cheapest cost {history.costs.min():.4g}" if len(history.costs) else "there is none at all"
        )
        raise NotEnoughEvidenceError(
            f"No trial with a value cost at most {cost:.4g}: {cheapest}. Allow more, or run more trials."
        )
    return affordable[-1]


def best_front(history: History, cost_of: CostOf | None = None) -> tuple[Best, ...]:
    """Return the configurations believed to be best at every cost, cheapest first.

    Args:
        history: What the study has shown.
        cost_of: The cost of a configuration, where it is known.
    """
    groups = Groups.of(history)
    if not len(groups):
        return ()
    beliefs = Surrogates.of(history, np.random.default_rng(0), cost_of=cost_of)
    groups = beliefs.groups
    mean, variance = beliefs.value.predict(groups.points)
    half = float(ndtri(0.5 + LEVEL / 2)) * np.sqrt(variance)
    sign = -1.0 if history.minimize else 1.0
    middle, low, high = (sign * beliefs.scaling.back(z) for z in (mean, mean - half, mean + half))
    found, record = [], -math.inf
    for i in range(len(groups)):
        if mean[i] <= record:
            continue
        record = float(mean[i])
        same = np.abs(history.points - groups.points[i]).max(1) < 1e-9
        found.append(
            Best(
                values=history.space.values_at(groups.points[i]),
                value=float(middle[i]),
                low=float(min(low[i], high[i])),
                high=float(max(low[i], high[i])),
                replicates=int(groups.counts[i]),
                cost=float(groups.costs[i]),
                numbers=tuple(history.numbers[same].tolist()),
            )
        )
    return tuple(found)
