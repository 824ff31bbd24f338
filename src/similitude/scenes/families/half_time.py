"""When something is learned: the step at which a curve of scores first reaches half of its final value."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST = 0.05
"""Final share of a variance below which nothing was learned: probes of pure noise reach a few hundredths."""


def half_time(steps: Sequence[int], scores: Sequence[float], *, least: float = LEAST) -> float | None:
    """Return the step at which scores first reach half of the last one, linear between checkpoints in log2(1 + step).

    Args:
        steps: Steps of the checkpoints, increasing from 0.
        scores: What was measured there; 0 is nothing.
        least: The final score that counts as learned, above 0.

    Returns:
        The step; 0 where the start has half of the final score already. None where nothing is learned: the final score is
        below `least`, or one of them is not finite.

    Example:
        >>> half_time([0, 1, 3, 7], [0.0, 0.2, 0.4, 0.8])
        3.0
    """
    if not all(math.isfinite(score) for score in scores) or scores[-1] < least:
        return None
    half = scores[-1] / 2
    place = next(k for k, score in enumerate(scores) if score >= half)
    if place == 0:
        return float(steps[0])
    before, after = scores[place - 1], scores[place]
    low, high = math.log2(1 + steps[place - 1]), math.log2(1 + steps[place])
    return 2.0 ** (low + (half - before) / (after - before) * (high - low)) - 1
