"""The range of losses worth drawing: from the best loss up to what an almost untrained model has."""

from __future__ import annotations

import math
from collections.abc import Iterable

from similitude.studies.records import Curve

# The window is at least this many times as high as the smallest loss, so that a shallow valley looks shallow.
_LEAST_RATIO = 1.5


def mean_losses(curve: Curve) -> tuple[float | None, ...]:
    """Average the seeds at every learning rate.

    Returns:
        Shape (rates,): the mean; `inf` where any seed diverged, because a mean over the survivors would
        flatter the rate; None where no seed was run.
    """
    return tuple(
        None if not seeds else sum(seeds) / len(seeds) if all(map(math.isfinite, seeds)) else math.inf
        for seeds in curve.losses
    )


def loss_window(curves: Iterable[Curve]) -> tuple[float, float] | None:
    """Choose the losses between which curves are drawn.

    The top is the largest loss at any curve's smallest learning rate, where a model has hardly moved: what
    is worse than that is off the scale and marked at its edge, so that one exploding run cannot flatten the
    valleys.

    Returns:
        (low, high) with some room, or None where every run diverged.
    """
    means = [[m for m in mean_losses(curve) if m is not None and math.isfinite(m)] for curve in curves]
    means = [curve for curve in means if curve]
    if not means:
        return None
    low = min(map(min, means))
    worst_best, start = max(map(min, means)), max(curve[0] for curve in means)
    if low <= 0:
        room = 0.08 * (max(worst_best, start) - low) or 1.0
        return low - room, max(worst_best, start) + room
    return low / 1.08, 1.08 * max(_LEAST_RATIO * low, 1.1 * worst_best, start)


def loss_ticks(low: float, high: float) -> list[float]:
    """Choose round losses between `low` and `high` to label on a logarithmic axis.

    Powers of ten times 1, 2 and 5 where the range is wide, equal steps where it is narrow.
    """
    if low > 0 and high / low > 4:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    else:
        unit = 10.0 ** math.floor(math.log10((high - low) / 2))
        step = next(unit * digit for digit in (1, 2, 5, 10) if (high - low) / (unit * digit) <= 6)
        ticks = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [tick for tick in ticks if low <= tick <= high]


def octave_ticks(low: float, high: float, *, most: int = 7) -> list[int]:
    """Choose whole octaves between `low` and `high`, at most `most` of them."""
    first, last = math.ceil(low), math.floor(high)
    step = max(1, math.ceil((last - first + 1) / most))
    # Multiples of the step, so that panels with other limits carry the same labels.
    return [octave for octave in range(first, last + 1) if octave % step == 0]


def log_ticks(low: float, high: float) -> list[float]:
    """Choose ticks of a logarithmic axis: powers of ten where it spans more than two of them, else `loss_ticks`.

    Example:
        >>> log_ticks(0.5, 500), log_ticks(0.5, 5)
        ([1.0, 10.0, 100.0], [0.5, 1.0, 2.0, 5.0])
    """
    return decades(low, high) if high / low > 100 else loss_ticks(low, high)


def decades(low: float, high: float, *, most: int = 7) -> list[float]:
    """Return powers of ten between two numbers, at most `most` of them and evenly spaced.

    Example:
        >>> decades(0.02, 300)
        [0.1, 1.0, 10.0, 100.0]
    """
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**power for power in range(first, last + 1) if power % step == 0]
