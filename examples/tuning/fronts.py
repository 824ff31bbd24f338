"""The best runs of a study by cost: each is better than everything cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.tuning.history import History


@dataclass(frozen=True)
class Step:
    """One run of the front: its cost, value and configuration."""

    cost: float
    value: float
    values: Mapping[str, Any]


def staircase(history: History) -> list[Step]:
    """Return the runs that are better than every cheaper one, cheapest first; single runs, lucky ones among them."""
    steps: list[Step] = []
    best = -np.inf
    for row in np.lexsort((-history.signed, history.costs)):
        if history.signed[row] > best:
            best = history.signed[row]
            values = history.space.values_at(history.points[row])
            steps.append(Step(float(history.costs[row]), float(history.values[row]), values))
    return steps


def words(values: Mapping[str, Any]) -> str:
    """Write a configuration in one line."""
    shown = {
        name: f"{value:.3g}" if isinstance(value, float) else str(value) for name, value in values.items()
    }
    return ", ".join(f"{name} {value}" for name, value in shown.items())
