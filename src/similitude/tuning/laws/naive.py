"""Scaling laws read off the observed Pareto set by regression: what the published method does.

Simple, and wrong where few trials are on the front, or where luck put them there: it never stands alone.
"""

from __future__ import annotations

import numpy as np

from similitude.core.citation import cites
from similitude.tuning.laws.data import LawData
from similitude.tuning.laws.frontier import fit_frontier
from similitude.tuning.laws.paths import Paths, cost_levels, lines


@cites(10, "Section 4: regression of hyperparameters on cost over the Pareto front")
def naive_paths(data: LawData, counts: np.ndarray) -> Paths:
    """Regress the coordinates of the observed Pareto set on log cost, in every resample.

    Args:
        data: The trials.
        counts: How often each is in each resample, shape (b, n), the first row ones.
    """
    reference = float(cost_levels(data).mean())
    order = np.lexsort((data.values, data.log_costs))
    sorted_values = np.where(counts[:, order] > 0, data.values[order], np.inf)
    best = np.minimum.accumulate(sorted_values, axis=1)
    before = np.concatenate([np.full((len(counts), 1), np.inf), best[:, :-1]], 1)
    members = np.zeros_like(counts)
    members[:, order] = sorted_values < before
    weights = counts * members
    x = data.log_costs - reference
    middles, slopes = lines(
        x, np.broadcast_to(data.coordinates, (len(counts), *data.coordinates.shape)), weights
    )
    floor, amplitude, power = fit_frontier(x, data.values, weights, floored=data.floored)
    chosen = np.zeros((len(counts), len(data.choices)), int)
    for h, (_, values) in enumerate(data.choices):
        votes = np.stack([(weights * (data.levels[:, h] == level)).sum(1) for level in range(len(values))], 1)
        chosen[:, h] = votes.argmax(1)
    return Paths(reference, middles, slopes, floor, amplitude, power, chosen)
