"""Random numbers of a world: a counter-based stream that (task, difficulty, seed) name, the same on every machine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
GRAIN = 1024.0
"""Positions and sizes in worlds are whole multiples of 1/GRAIN metres, so that the last bit of a machine cannot show."""


def exact(value: float) -> float:
    """Return the nearest multiple of 1/1024."""
    return math.floor(value * GRAIN + 0.5) / GRAIN


class Draws:
    """A stream of random numbers (Philox, keyed by a hash of its name).

    Only additions, multiplications, divisions and square roots are used: IEEE 754 gives them the same bits everywhere,
    which it does not for logarithms and sines.

    Args:
        name: What the stream is for; streams of different names are independent.

    Example:
        >>> Draws("eat", 0, 1).uniform(0.0, 1.0) == Draws("eat", 0, 1).uniform(0.0, 1.0)
        True
    """

    def __init__(self, *name: object) -> None:
        self.name = name
        key = hashlib.sha256("\x1f".join(map(repr, name)).encode()).digest()[:16]
        self._random = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))

    def child(self, *name: object) -> Draws:
        """Return the stream of a part: it does not depend on what was drawn here before."""
        return Draws(*self.name, *name)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * float(self._random.random())

    def array(self, *shape: int) -> np.ndarray:
        """Return numbers in [0, 1) as an array."""
        return self._random.random(shape)

    def integer(self, low: int, high: int) -> int:
        """Return a whole number, low and high included."""
        return low + min(int(self._random.random() * (high - low + 1)), high - low)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return float(self._random.random()) < probability

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Return one of the options."""
        shares = [1.0] * len(options) if weights is None else list(weights)
        left = self.uniform(0.0, sum(shares))
        for option, share in zip(options, shares, strict=True):
            left -= share
            if left < 0:
                return option
        return options[-1]

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """Return a number that is nearly normal: the sum of twelve uniform ones (never beyond six deviations)."""
        total = 0.0
        for value in self._random.random(12):
            total += float(value)
        return mean + deviation * (total - 6.0)

    def direction(self) -> tuple[float, float]:
        """Return a unit vector, evenly distributed."""
        while True:
            x, y = self.uniform(-1.0, 1.0), self.uniform(-1.0, 1.0)
            length = math.sqrt(x * x + y * y)
            if 0.1 < length <= 1.0:
                return x / length, y / length
