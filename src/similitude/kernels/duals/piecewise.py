"""Duals of piecewise polynomials with any kinks: clipped, shifted and hard activations, and plain polynomials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from similitude.core.errors import KernelError
from similitude.kernels.duals.base import Dual
from similitude.kernels.duals.blocks import in_blocks
from similitude.kernels.duals.moments import Moments

Factor = tuple[float | None, int]


@dataclass(frozen=True)
class Pieces:
    """A piecewise polynomial as a sum of c x^m and of c (x - t)_+^m.

    Attributes:
        terms: Coefficient by (threshold, power); the threshold of a plain power is None.
    """

    terms: Mapping[Factor, float]

    def derivative(self) -> Pieces:
        """Return the derivative that autograd takes: jumps have none."""
        return Pieces({(t, m - 1): m * c for (t, m), c in self.terms.items() if m > 0})

    def jumps(self) -> list[tuple[float, float]]:
        """Return the thresholds at which the function jumps, and by how much."""
        return [(t, c) for (t, m), c in self.terms.items() if t is not None and m == 0]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the value at x; in the middle of a jump, its middle."""
        value = torch.zeros_like(x)
        for (t, m), c in self.terms.items():
            if t is None:
                value = value + c * x**m
            elif m == 0:
                value = value + c * (0.5 + 0.5 * torch.sign(x - t))
            else:
                value = value + c * (x - t).clamp_min(0) ** m
        return value


def pieces(*segments: tuple[float, ...]) -> Pieces:
    """Return a piecewise polynomial from its segments: where each begins, and its coefficients from order 0 on.

    Args:
        *segments: The first begins at -inf; the others follow in ascending order.

    Example:
        >>> import torch
        >>> relu6 = pieces((-math.inf, 0.0), (0.0, 0.0, 1.0), (6.0, 6.0))
        >>> relu6(torch.tensor([-1.0, 2.0, 8.0])).tolist()
        [0.0, 2.0, 6.0]
    """
    terms: dict[Factor, float] = {(None, m): c for m, c in enumerate(segments[0][1:]) if c != 0}
    before = segments[0][1:]
    for start, *coefficients in segments[1:]:
        degree = max(len(before), len(coefficients))
        change = [_at(coefficients, m) - _at(before, m) for m in range(degree)]
        for m in range(degree):
            # Taylor's coefficient at the threshold of the difference between this polynomial and the one before.
            c = sum(math.comb(j, m) * change[j] * start ** (j - m) for j in range(m, degree))
            if c != 0:
                terms[start, m] = c
        before = coefficients
    return Pieces(terms)


class Piecewise(Dual):
    """The dual of a piecewise polynomial with thresholds anywhere: exact, by probabilities of orthants.

    Args:
        function: The polynomial in pieces.
        name: What users call it.

    Cost: About 0.2 microseconds per entry and pair of thresholds in float64, on one core.
    """

    def __init__(self, function: Pieces, *, name: str) -> None:
        degree = max((m for _, m in function.terms), default=0)
        if degree > 32:
            raise KernelError(
                f"{name}: a polynomial of degree {degree} has moments beyond float64. Use at most 32."
            )
        self.function, self.gradient, self.name = function, function.derivative(), name

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return in_blocks(
            lambda *at: (_expect(Moments(*at), self.function, self.function),), k, q1, q2, outputs=1
        )[0]

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return in_blocks(
            lambda *at: (_expect(Moments(*at), self.gradient, self.gradient),), k, q1, q2, outputs=1
        )[0]

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        def together(*at: Tensor) -> tuple[Tensor, Tensor]:
            moments = Moments(*at)
            return _expect(moments, self.function, self.function), _expect(
                moments, self.gradient, self.gradient
            )

        covariance, derivative = in_blocks(together, k, q1, q2, outputs=2)
        return covariance, derivative

    @override
    def mean(self, q: Tensor) -> Tensor:
        return _mean(self.function, q)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return _mean(self.gradient, q)

    @override
    def stein(self, q: Tensor) -> Tensor:
        total = self.slope(q)
        for t, c in self.function.jumps():
            total = total + c * torch.exp(-(t**2) / (2 * q)) / (2 * math.pi * q).sqrt()
        return total

    @override
    def second(self, q: Tensor) -> Tensor:
        return super().second(q).clamp_(min=0)  # a square, whatever rounding makes of it

    @override
    def steepness(self, q: Tensor) -> Tensor:
        return super().steepness(q).clamp_(min=0)

    @override
    def error_bound(self, q: Tensor) -> float:
        return _rounding(self.function, q)

    @override
    def derivative_bound(self, q: Tensor) -> float:
        return _rounding(self.gradient, q)

    @override
    def shifted(self, shift: float) -> Dual:
        terms: dict[Factor, float] = {}
        for (t, m), c in self.function.terms.items():
            if t is not None:
                terms[t - shift, m] = terms.get((t - shift, m), 0.0) + c
                continue
            for j in range(m + 1):
                terms[None, j] = terms.get((None, j), 0.0) + c * math.comb(m, j) * shift ** (m - j)
        return Piecewise(Pieces(terms), name=f"{self.name}(x + {shift:g})")


def piecewise_cross(first: Pieces, second: Pieces, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
    """Return E f(u) g(v) of two piecewise polynomials."""
    return in_blocks(lambda *at: (_expect(Moments(*at), first, second),), k, q1, q2, outputs=1)[0]


def _at(coefficients: list[float] | tuple[float, ...], m: int) -> float:
    return coefficients[m] if m < len(coefficients) else 0.0


def _expect(moments: Moments, first: Pieces, second: Pieces) -> Tensor:
    total = torch.zeros_like(moments.size)
    for factor1, c1 in first.terms.items():
        for factor2, c2 in second.terms.items():
            total.add_(moments.mixed(factor1, factor2), alpha=c1 * c2)
    return total


def _mean(function: Pieces, q: Tensor) -> Tensor:
    one = torch.ones((), dtype=torch.float64, device=q.device)
    return in_blocks(
        lambda k, q1, q2: (_expect(Moments(k, q1, q2), function, Pieces({(None, 0): 1.0})),),
        0 * q,
        q,
        one,
        outputs=1,
    )[0]


def _rounding(function: Pieces, q: Tensor) -> float:
    """Bound what rounding does: relative to the terms, which may be larger than what is left of their sum."""
    if q.numel() == 0:
        return 0.0
    largest = float(q.max())
    size = sum(
        abs(c) * math.sqrt(float(math.prod(range(1, 2 * m, 2))) * largest**m + abs(t or 0.0) ** (2 * m))
        for (t, m), c in function.terms.items()
    )
    return 64 * torch.finfo(q.dtype).eps * size**2
