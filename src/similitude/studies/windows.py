"""Windows of a training run: parts of it, as fractions of its steps, over which a measured curve is averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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

    Args:
        fractions: Start and end of every window, as fractions of the run, in the order of time.
        steps: Steps of the run.
        every: Steps between measurements, of which each end takes the nearest one.

    Raises:
        GridError: There is no window, one ends before it begins, or they are out of order.

    Example:
        >>> [str(window) for window in windows_of(FRACTIONS, 300, 10)]
        ['step 0', 'steps 20-60', 'steps 100-200', 'steps 200-300']
    """
    shown = ",".join(f"{low:g}-{high:g}" for low, high in fractions)
    if not fractions:
        raise GridError("windows=() is no window to compare sizes in. Pass e.g. ((0, 0), (0.5, 1)).")
    found: list[Window] = []
    for low, high in fractions:
        if not 0 <= low <= high <= 1:
            raise GridError(
                f"windows {shown}: {low:g}-{high:g} is no part of a run. Give fractions 0 <= first <= last <= 1, e.g. "
                "0-0,0.07-0.2,0.33-0.67,0.67-1."
            )
        window = Window(_nearest(low, steps, every), _nearest(high, steps, every))
        if found and (window.first < found[-1].first or window.last <= found[-1].last):
            raise GridError(
                f"windows {shown} of {steps} steps measured every {every}: {window} does not come after {found[-1]}. "
                "Give windows in the order of time, or measure more often."
            )
        found.append(window)
    return tuple(found)


def _nearest(fraction: float, steps: int, every: int) -> int:
    """The nearest measured step; what lies after the start is not moved there."""
    nearest = math.floor(fraction * steps / every + 0.5)
    return every * min(steps // every, max(nearest, 1 if fraction > 0 else 0))
