"""The cheapest further trials of a tuning study that would halve the interval of a forecast: at which cost, how many."""

from __future__ import annotations

import math

import numpy as np

from similitude.studies.forecast_records import NextRun
from similitude.studies.next_run import HALF
from similitude.tuning.trials.history import History

MOST = 400
"""Further trials that are considered at one cost."""

_COSTS = 12  # between the cheapest trial and half the target


def more_trials(history: History, target: float, *, length: float, study: str) -> NextRun | None:
    """Find the cheapest trials after which the fitted value at a cost is known twice as well.

    Every trial says something of the line through the optima at its own log cost; how much follows from the interval
    that the trials so far leave.

    Args:
        history: The trials.
        target: The cost that is forecast.
        length: Length of the interval now, in octaves.
        study: Name of the study, for the command.

    Returns:
        The cheapest that was found; None where none of them halves it.
    """
    x = np.log10(history.costs)
    at = math.log10(target)
    mean, spread = float(x.mean()), float(((x - x.mean()) ** 2).sum())
    now = 1 / len(x) + (at - mean) ** 2 / spread
    found: list[tuple[float, int, float, float]] = []
    for cost in np.geomspace(history.costs.min(), max(target / 2, history.costs.max()), _COSTS):
        place = math.log10(cost)
        for count in range(1, MOST + 1):
            total = len(x) + count
            moved = (mean * len(x) + place * count) / total
            wide = spread + len(x) * (mean - moved) ** 2 + count * (place - moved) ** 2
            share = math.sqrt((1 / total + (at - moved) ** 2 / wide) / now)
            if share <= HALF:
                found.append((count * float(cost), count, float(cost), share))
                break
    if not found:
        return None
    paid, count, cost, share = min(found)
    budget = history.spent + paid
    return NextRun(
        size=count,
        dial="trials",
        seeds=0,
        runs=count,
        cost=paid,
        octaves=share * length,
        options=f"similitude tune resume {study} --budget {budget:.4g} --per-trial {cost:.4g}",
    )
