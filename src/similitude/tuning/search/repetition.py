"""Running a member of the front again: when its luck could cost more than a new configuration promises.

Source: paper 10, Section 3 (resampling); which member and when is by value of information here, not by turns.
"""

from __future__ import annotations

import math

import numpy as np

from similitude.tuning.search.acquisition import log_expected_improvement
from similitude.tuning.search.surrogates import Surrogates
from similitude.tuning.trials.history import History


def most_at_stake(beliefs: Surrogates, history: History, *, end: float) -> tuple[np.ndarray, float]:
    """Return the member of the front to run again, and the logarithm of the area that is at stake with it.

    Nothing is at stake with the cheapest member: no other one would be chosen in its place.

    What is at stake with a member of the front is the area that is lost if it is worse than the member before it, which
    would then be the better choice at its cost: the width of its step times the expectation of that deficit, given all
    that is known of the member. A member that is being run again now is left out.

    Args:
        beliefs: Fitted to the history.
        history: What the study has shown.
        end: Logarithm (base 10) of the largest cost that matters.
    """
    groups = beliefs.groups
    front = groups.front()
    log_costs = np.log10(groups.costs[front])
    believed, spread = beliefs.value.predict(groups.points[front])
    before = np.r_[-math.inf, believed[:-1]]
    widths = np.diff(np.r_[log_costs, max(end, float(log_costs[-1]))])
    steepness = np.array([beliefs.scaling.steepness(value) for value in believed])
    with np.errstate(divide="ignore"):
        lost = np.log(widths * steepness) + log_expected_improvement(before - believed, spread, 0.0)
    if len(history.waiting):
        running = np.abs(groups.points[front][:, None] - history.waiting[None]).max(-1).min(1) < 1e-9
        lost = np.where(running, -math.inf, lost)
    most = int(np.argmax(lost))
    return groups.points[front][most], float(lost[most])
