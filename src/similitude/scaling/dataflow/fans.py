"""Fan-in and fan-out of a matrix as products of its own dimensions, so that they are known at every size."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Fan:
    """One side of a matrix: the product of some of the tensor's dimensions times a number.

    Attributes:
        dims: Indices of the dimensions; empty for a side that is a constant.
        factor: What multiplies their product, e.g. 3 for a weight that is one of three concatenated ones.
    """

    dims: tuple[int, ...] = ()
    factor: float = 1.0

    def size(self, shape: tuple[int, ...]) -> float:
        """Return the side's length for one shape of the tensor."""
        return math.prod(shape[d] for d in self.dims) * self.factor

    def ratio(self, base: tuple[int, ...], target: tuple[int, ...]) -> float:
        """Return target over base; exactly 1 where the side does not grow."""
        before, after = self.size(base), self.size(target)
        return 1.0 if before == after else after / before


@dataclass(frozen=True)
class Fans:
    """Both sides of a matrix: `fan_in` is contracted with the activation, `fan_out` is produced.

    A vector or a lookup table has a fan-in of 1 (its input is constant or one-hot).
    """

    fan_in: Fan
    fan_out: Fan
