"""Which samples meet in a block of covariances, and what is known of them: covariances, products of gradients, scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from similitude.kernels.run import Run
from similitude.kernels.values import (
    Wide,
)


class Pair(NamedTuple):
    """A covariance and the inner product of gradients; None is zero.

    Tensors have axes (samples, samples', positions) or, of all pairs of positions, (samples, samples', positions,
    positions'); a frame of equal samples has one axis of samples. Axes may have size 1 where nothing depends on them.
    """

    k: Tensor | None
    t: Tensor | None = None


ZERO = Pair(None, None)


@dataclass(frozen=True)
class Scales:
    """Variances and training of the parameters.

    Attributes:
        variance: Variance of an entry, times the fan-in for a matrix.
        rate: What training a parameter adds to the tangent kernel, in units of the covariance it acts on.
    """

    variance: Mapping[tuple[str, str], float]
    rate: Mapping[tuple[str, str], float]


@dataclass(eq=False)
class Frame:
    """Which samples are paired: all of two inputs, or each of one input with itself.

    Attributes:
        left: The first input.
        right: The second; the same object where both are the same samples.
        zipped: Whether samples are paired with themselves alone.
        tangent: Whether inner products of gradients are wanted.
        memo: What has been computed.
    """

    left: Run
    right: Run
    zipped: bool
    tangent: bool
    memo: dict[tuple[Wide, Wide, bool], Pair] = field(default_factory=dict)

    def first(self, values: Tensor, full: bool) -> Tensor:
        """Broadcast numbers (n or 1, positions or 1) of the left value."""
        if not self.zipped:
            values = values[:, None]
        return values[..., None] if full else values

    def second(self, values: Tensor, full: bool) -> Tensor:
        """Broadcast numbers (n or 1, positions or 1) of the right value."""
        if not self.zipped:
            values = values[None]
        return values.unsqueeze(-2) if full else values

    @property
    def exact(self) -> bool:
        """Whether the diagonal pairs samples with themselves."""
        return not self.zipped and self.left is self.right
