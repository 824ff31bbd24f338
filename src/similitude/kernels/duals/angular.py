"""Duals of functions that bend sharply, or have a kink at 0: interpolated in the angle, where there is no kink at all.

In polar coordinates u = r1 s cos t, v = r2 s cos(t - angle), for standard deviations r1, r2 and correlation cos(angle).
Between the four rays where u or v changes sign everything is smooth, so that E phi(u) phi(v) is a smooth function of r1,
r2 and the angle, up to correlations of +-1; for ReLU it is r1 r2 (sin angle + (pi - angle) cos angle) / (2 pi).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from similitude.kernels.duals.base import angle
from similitude.kernels.duals.blocks import in_blocks
from similitude.kernels.duals.series import Series

POINTS = ((20, 10), (28, 20), (40, 32))
"""Chebyshev points of the angle and of a standard deviation, more until the error is rounding."""

SERIES = 1e-11
"""Part of E phi^2 that a series may leave out before it is interpolated instead."""

ACCURATE = 5e-14
"""Error, relative to the largest value, at which no more points are taken."""

PROBES = 64
"""Random points at which an interpolation is compared with quadrature of twice as many nodes."""

CAUTION = 8.0
"""What the largest difference at the probes is multiplied by for a bound."""

RADIUS = 12.0
"""Standard deviations that quadratures reach."""

GRID = 4
"""Ranges of standard deviations are widened to powers of 2^(1/4), so that blocks of a Gram matrix share one."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Interpolation:
    """Chebyshev coefficients of E f(u) f(v) in the angle and both standard deviations.

    Attributes:
        coefficients: Shape (angles, deviations, deviations).
        deviations: Smallest and largest standard deviation.
        error: Bound on the error, by comparison with quadrature.
    """

    coefficients: Tensor
    deviations: Range
    error: float


class Angular(Series):
    """The dual of a function that is smooth, or whose only kink is at 0, such as ELU, SELU or softsign.

    The series has means and diagonals, and covariances as long as it leaves out next to nothing. Else they are
    interpolated in the angle, unless the series has the smaller bound after all.

    Args:
        function: Elementwise torch function of one tensor.
        name: What users call it.
        kinked: Whether there is a kink at 0.

    Cost: A second for each range of variances that is met, then 0.3 microseconds per entry on one core.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], *, name: str, kinked: bool) -> None:
        super().__init__(function, name=name, kinks=(0.0,) if kinked else ())
        self._known: dict[tuple[bool, Range], Interpolation | None] = {}

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        found = self._interpolation(q1, q2, gradient=False)
        return super().covariance(k, q1, q2) if found is None else _evaluate(k, q1, q2, [found])[0]

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        found = self._interpolation(q1, q2, gradient=True)
        return super().derivative(k, q1, q2) if found is None else _evaluate(k, q1, q2, [found])[0]

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        found = [self._interpolation(q1, q2, gradient=gradient) for gradient in (False, True)]
        if found[0] is None or found[1] is None:
            return self.covariance(k, q1, q2), self.derivative(k, q1, q2)
        covariance, derivative = _evaluate(k, q1, q2, [found[0], found[1]])
        return covariance, derivative

    @override
    def error_bound(self, q: Tensor) -> float:
        return self._bound(q, super().error_bound(q), self.second(q), gradient=False)

    @override
    def derivative_bound(self, q: Tensor) -> float:
        return self._bound(q, super().derivative_bound(q), self.steepness(q), gradient=True)

    def _bound(self, q: Tensor, series: float, size: Tensor, *, gradient: bool) -> float:
        found = self._interpolation(q, q, gradient=gradient)
        if found is None:
            return series
        return found.error + 64 * torch.finfo(q.dtype).eps * float(size.max())

    def _interpolation(self, q1: Tensor, q2: Tensor, *, gradient: bool) -> Interpolation | None:
        if q1.numel() == 0 or q2.numel() == 0:
            return None
        low = math.sqrt(max(0.0, min(float(q1.min()), float(q2.min()))))
        high = math.sqrt(max(float(q1.max()), float(q2.max())))
        if not math.isfinite(high) or high == 0:
            return None
        if high - low > 1e-12 * high:
            low = 0.0 if low < 0.05 else 2.0 ** (math.floor(GRID * math.log2(low)) / GRID)
            high = 2.0 ** (math.ceil(GRID * math.log2(max(high, 0.05))) / GRID)
        key = gradient, (low, high)
        if key not in self._known:
            self._known[key] = self._better(key)
        return self._known[key]

    def _better(self, key: tuple[bool, Range]) -> Interpolation | None:
        gradient, deviations = key
        q = torch.tensor([deviations[1] ** 2], dtype=torch.float64)
        series = self.gradient_expansion(q) if gradient else self.expansion(q)
        left_out = float(series.rest.max())
        if left_out <= SERIES * float(series.second.max()):
            return None
        found = _interpolate(self.gradient if gradient else self._plain, deviations)
        return found if found.error < left_out else None


def _interpolate(function: Callable[[Tensor], Tensor], deviations: Range) -> Interpolation:
    low, high = deviations
    radial = max(64, math.ceil(24 * high))
    around = 24 if high <= 2 else 48  # functions bend within 1 / high of the rays
    generator = torch.Generator().manual_seed(0)
    x, y, z = torch.rand(3, PROBES, dtype=torch.float64, generator=generator)
    probes = math.pi * x, low + (high - low) * y, low + (high - low) * z
    # Correlations of almost 1 are where errors are largest.
    probes[0][::4] = 1e-3 * probes[0][::4]
    truth = torch.stack(
        [
            _quadrature(function, at[:1], first[None], second[None], 2 * radial, 2 * around)[0, 0, 0]
            for at, first, second in zip(probes[0][:, None], probes[1], probes[2], strict=True)
        ]
    )
    best: Interpolation | None = None
    for number, count in POINTS:
        angles, to_angle = _chebyshev(number, 0.0, math.pi)
        points, to_point = _chebyshev(count if high - low > 1e-12 * high else 1, low, high)
        values = _quadrature(function, angles, points, points, radial, around)
        coefficients = torch.einsum("abc,ia,jb,kc->ijk", values, to_angle, to_point, to_point)
        size = coefficients.abs().amax((1, 2))
        kept = int(torch.nonzero(size > 1e-16 * size.max()).max()) + 1
        coefficients = coefficients[:kept]
        bases = [
            _basis(at, n, *span)
            for at, n, span in zip(
                probes, coefficients.shape, ((0.0, math.pi), deviations, deviations), strict=True
            )
        ]
        off = (torch.einsum("ijk,ip,jp,kp->p", coefficients, *bases) - truth).abs().max()
        found = Interpolation(coefficients, deviations, CAUTION * float(off))
        if best is None or found.error < best.error:
            best = found
        if float(off) <= ACCURATE * float(values.abs().max()):
            break
    assert best is not None
    return best


def _quadrature(
    function: Callable[[Tensor], Tensor],
    angles: Tensor,
    first: Tensor,
    second: Tensor,
    radial: int,
    around: int,
) -> Tensor:
    """Return E f(u) f(v) at all angles and standard deviations, shape (angles, first, second)."""
    x, w = _legendre(radial)
    radii, weights = RADIUS * (x + 1) / 2, RADIUS / 2 * w
    weights = weights * radii * torch.exp(-radii.square() / 2) / (2 * math.pi)
    x, w = _legendre(around)
    total = []
    for at in angles.tolist():
        value = torch.zeros(len(first), len(second), dtype=torch.float64)
        # Between the rays where u or v changes sign.
        for start, width in (
            (at - math.pi / 2, math.pi - at),
            (math.pi / 2, at),
            (at + math.pi / 2, math.pi - at),
            (-math.pi / 2, at),
        ):
            t = start + width * (x + 1) / 2
            u = function(first[:, None, None] * torch.cos(t)[:, None] * radii)
            v = function(second[:, None, None] * torch.cos(t - at)[:, None] * radii)
            measure = (width / 2 * w)[:, None] * weights
            value += (u * measure).flatten(1) @ v.flatten(1).T
        total.append(value)
    return torch.stack(total)


@cache
def _legendre(count: int) -> tuple[Tensor, Tensor]:
    x, w = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy(x), torch.from_numpy(w)


def _evaluate(k: Tensor, q1: Tensor, q2: Tensor, found: list[Interpolation]) -> tuple[Tensor, ...]:
    stacks = []
    for one in found:
        n = one.coefficients.shape[1]
        first, second = (_basis(q.to(torch.float64).sqrt(), n, *one.deviations) for q in (q1, q2))
        mixed = torch.einsum("ijk,k...->ij...", one.coefficients.to(second), second)
        stacks += [first, mixed.flatten(0, 1)]

    def evaluate(k: Tensor, q1: Tensor, q2: Tensor, *stacks: Tensor) -> tuple[Tensor, ...]:
        asin, _ = angle(k, q1, q2)
        x = asin.mul_(-2 / math.pi)  # 2 angle / pi - 1
        return tuple(_sum(x, stacks[2 * index], stacks[2 * index + 1]) for index in range(len(found)))

    return in_blocks(evaluate, k, q1, q2, outputs=len(found), stacks=stacks)


def _sum(x: Tensor, first: Tensor, mixed: Tensor) -> Tensor:
    """Sum T_i(x) first_j mixed_ij by Clenshaw's rule in i."""
    parts = mixed.unflatten(0, (-1, len(first)))
    double = 2 * x
    last, before = torch.zeros_like(x), torch.zeros_like(x)
    table = x.dim() == 2 and first.shape[2] == 1 and mixed.shape[1] == 1
    for i in range(len(parts) - 1, -1, -1):
        if table:  # standard deviations of rows and of columns: a product of matrices
            term = first[:, :, 0].T @ parts[i][:, 0]
        else:
            term = torch.zeros_like(x)
            for a, b in zip(first, parts[i], strict=True):
                term.addcmul_(a, b)
        before.neg_().add_(term).addcmul_(double if i > 0 else x, last)
        last, before = before, last
    return last


def _basis(at: Tensor, count: int, low: float, high: float) -> Tensor:
    """Return Chebyshev polynomials on [low, high], shape (count, *at.shape)."""
    x = torch.zeros_like(at) if high <= low else ((at - low) / (high - low)).mul_(2).sub_(1).clamp_(-1, 1)
    rows = [torch.ones_like(x), x]
    for _ in range(2, count):
        rows.append(2 * x * rows[-1] - rows[-2])
    return torch.stack(rows[:count])


def _chebyshev(count: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return Chebyshev points on [low, high], and the matrix from values there to coefficients."""
    t = (torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)
    matrix = torch.cos(torch.arange(count, dtype=torch.float64)[:, None] * t) * (2 / count)
    matrix[0] /= 2
    return low + (high - low) * (torch.cos(t) + 1) / 2, matrix
