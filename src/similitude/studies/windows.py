"""Windows of a training run: parts of it, as fractions of its steps, over which a measured curve is averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from similitude.core.errors import GridError

FRACTIONS = ((0.0, 0.0), (0.07, 0.2), (0.33, 0.67), (0.67, 1.0))
"""The start, the time in which sharpness rises, and two later parts, increasing in length."""


@dataclass(frozen=True)
class Window:
    """Measured steps from `first` to `last`, both included.

    Attributes:
        first: Steps made before the first measurement of the window.
        last: Steps made before its last measurement.
    """

    first: int
    last: int

    def __str__(self) -> str:
        return f"step {self.first}" if self.first == self.last else f"steps {self.first}-{self.last}"

    def __contains__(self, step: object) -> bool:
        return isinstance(step, int) and self.first <= step <= self.last


def windows_of(fractions: Sequence[tuple[float, float]], steps: int, every: int) -> tuple[Window, ...]:
    """Return the windows of a run that is measured every so many steps.

    Where one window ends as the next begins, what is measured there belongs to the later one, or to the earlier one where
    that is nothing else.

    Args:
        fractions: Start and end of every window, as fractions of the run, in the order of time.
        steps: Steps of the run.
        every: Steps between measurements, of which each end takes the nearest one.

    Raises:
        GridError: There is no window, one ends before it begins, they are out of order, or the run is measured too
            seldom for as many.

    Example:
        >>> [str(window) for window in windows_of(FRACTIONS, 300, 10)]
        ['step 0', 'steps 20-60', 'steps 100-190', 'steps 200-300']
    """
    shown = ",".join(f"{low:g}-{high:g}" for low, high in fractions)
    if not fractions:
        raise GridError("windows=() is no window to compare sizes in. Pass e.g. ((0, 0), (0.5, 1)).")
    for low, high in fractions:
        if not 0 <= low <= high <= 1:
            raise GridError(
                f"windows {shown}: {low:g}-{high:g} is no part of a run. Give fractions 0 <= first <= last <= 1, e.g. "
                "0-0,0.07-0.2,0.33-0.67,0.67-1."
            )
    ordered = all(a <= c and b <= d and (a, b) != (c, d) for (a, b), (c, d) in pairwise(fractions))
    if not ordered:
        raise GridError(
            f"windows {shown} are not in the order of time: each begins and ends no earlier than the one before. Sort "
            "them."
        )
    found = _placed(fractions, steps, every)
    if found is None:
        times = steps // every + 1
        counts = range(times, 100 * times + 1000)
        enough = next((n for n in counts if _placed(fractions, n * every, every)), None)
        hint = "Give fewer or wider windows (--windows)"
        if enough is not None:
            hint = f"Train for {enough * every} steps or more, measure more often (--every), or give fewer windows"
        raise GridError(
            f"{steps} steps measured every {every} are {times} measurement{'s' if times > 1 else ''}, too few for the "
            f"{len(fractions)} windows {shown}, each of which needs one of its own. {hint}."
        )
    return found


def _placed(fractions: Sequence[tuple[float, float]], steps: int, every: int) -> tuple[Window, ...] | None:
    """The windows, no measured step in two that meet; None where one is left without any."""
    found: list[Window] = []
    for low, high in fractions:
        window = Window(_nearest(low, steps, every), _nearest(high, steps, every))
        if found and window.first == found[-1].last:
            before = found[-1]
            if before.first < before.last:
                found[-1] = Window(before.first, before.last - every)
            else:
                window = Window(window.first + every, window.last)
        if window.last < window.first or (found and window.last <= found[-1].last):
            return None
        found.append(window)
    return tuple(found)


def _nearest(fraction: float, steps: int, every: int) -> int:
    """The nearest measured step; what lies after the start is not moved there."""
    nearest = math.floor(fraction * steps / every + 0.5)
    return every * min(steps // every, max(nearest, 1 if fraction > 0 else 0))
