"""Learning-rate schedules as plain functions of the step: the multiplier of every group's own rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]
"""Maps the step, counted from 0, to a multiplier of the learning rate (1 = the rate itself)."""


def constant(step: int) -> float:
    """Keep the learning rate as it is."""
    return 1.0


@dataclass(frozen=True)
class _Warmup:
    """A linear warmup and then a decay, whose shape the classes below give."""

    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.warmup <= self.steps or not 0 <= self.final <= 1:
            raise ValueError(
                f"{type(self).__name__}(steps={self.steps}, warmup={self.warmup}, final={self.final}): needs "
                "steps >= 1, 0 <= warmup <= steps and 0 <= final <= 1."
            )

    def __call__(self, step: int) -> float:
        """Return the multiplier at `step`."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.final + (1 - self.final) * self._left(progress)

    def _left(self, progress: float) -> float:
        """Share of the way to `final` that is left, from 1 at progress 0 to 0 at progress 1."""
        raise TypeError("use WarmupCosine or WarmupLinear")


@dataclass(frozen=True)
class WarmupCosine(_Warmup):
    """Rise linearly over `warmup` steps, then fall along half a cosine to `final` at step `steps`.

    Args:
        steps: Number of training steps, at least 1.
        warmup: Steps of linear warmup; the first step already trains, at 1/warmup of the rate.
        final: Multiplier at the end, 0 to 1.

    Example:
        >>> s = WarmupCosine(steps=10, warmup=2)
        >>> [round(s(t), 3) for t in (0, 1, 2, 6, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    def _left(self, progress: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class WarmupLinear(_Warmup):
    """Rise linearly over `warmup` steps, then fall linearly to `final` at step `steps`.

    Args:
        steps: Number of training steps, at least 1.
        warmup: Steps of linear warmup.
        final: Multiplier at the end, 0 to 1.

    Example:
        >>> s = WarmupLinear(steps=10, warmup=0, final=0.0)
        >>> [s(t) for t in (0, 5, 10)]
        [1.0, 0.5, 0.0]
    """

    def _left(self, progress: float) -> float:
        return 1.0 - progress
