"""The first trials of a search: the center, and steps around it, nearer and cheaper where they fail."""

from __future__ import annotations

import numpy as np

from similitude.tuning.search.candidates import Neighbourhood
from similitude.tuning.trials.history import History

_DRAWS = 16


def start(history: History, near: Neighbourhood, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return the center first, and later a configuration near the center or near what has a value already.

    As long as all have failed, every further one is drawn farther away, and lower in what is scaled: a configuration
    that does not fit into memory or time is mostly too large. Of a choice without order the value is taken that was
    tried least: nothing else would tell that it is good.

    Args:
        history: With few values.
        near: Draws configurations.
        number: Of the trial.
        rng: Draws.
    """
    space = near.space
    center = space.point(space.center)
    failed = len(history.failures)
    tried = np.concatenate([history.points, history.waiting, *(f.point[None] for f in history.failures)])
    # A process or thread with a later number may have been first, and have the center already.
    if not len(tried) or (number == 0 and np.abs(tried - center).max(1).min() > 1e-9):
        return center
    origins, stride = center[None], 1.0
    if len(history.points):
        origins = np.concatenate([origins, history.points]) if not failed else history.points
    elif failed:
        scaled = np.array([dim.role == "scale" for dim in space.values()])
        low = space.bounds[:, 0]
        origins = np.maximum(center - scaled * near.radius * failed, low)[None]
        stride = 1.0 + 0.5 * failed
    drawn = near.draw(origins, _DRAWS, rng, stride=stride)
    low, high = space.bounds.T
    for j in np.flatnonzero(space.categorical):
        levels = np.arange(low[j], high[j] + 1)
        times = (np.abs(tried[:, j, None] - levels) < 0.5).sum(0)
        drawn[:, j] = levels[int(np.argmin(times))]
    drawn = near.snapped(drawn)
    if len(drawn):
        new = np.abs(drawn[:, None] - tried[None]).max(-1).min(1) > 1e-9
        drawn = drawn[new] if new.any() else drawn
    return drawn[0] if len(drawn) else center
