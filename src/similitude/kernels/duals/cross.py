"""Expectations of two different functions of two Gaussians: what a gate, or two branches on one value, need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from similitude.kernels.duals.base import Dual
from similitude.kernels.duals.hermite import Expansion
from similitude.kernels.duals.mehler import mehler
from similitude.kernels.duals.piecewise import Pieces, Piecewise, piecewise_cross
from similitude.kernels.duals.rectified import Rectified, Step
from similitude.kernels.duals.series import Series


@dataclass(frozen=True)
class Cross:
    """The expectations of phi(u) psi(v), for two functions. Made by `cross`.

    Attributes:
        first: phi, of u.
        second: psi, of v.
    """

    first: Dual
    second: Dual

    @property
    def exact(self) -> bool:
        """Whether both are piecewise polynomials, whose products have closed forms."""
        return self._pieces is not None

    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        """Return E phi(u) psi(v), with E u^2 = q1, E v^2 = q2, E uv = k."""
        if self._pieces is not None:
            return piecewise_cross(*self._pieces, k, q1, q2)
        return mehler(k, q1, q2, self._series[0].expansion(q1), self._series[1].expansion(q2))

    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        """Return E phi'(u) psi'(v)."""
        if self._pieces is not None:
            first, second = self._pieces
            return piecewise_cross(first.derivative(), second.derivative(), k, q1, q2)
        first, second = self._series
        return mehler(k, q1, q2, first.gradient_expansion(q1), second.gradient_expansion(q2))

    def error_bound(self, q1: Tensor, q2: Tensor) -> float:
        """Return a bound on the error of `covariance` at any variances among q1 of u and q2 of v."""
        if self._pieces is not None:
            return math.sqrt(self.first.error_bound(q1) * self.second.error_bound(q2))
        return _bound(self._series[0].expansion(q1), self._series[1].expansion(q2))

    def derivative_bound(self, q1: Tensor, q2: Tensor) -> float:
        """Return a bound on the error of `derivative` at any variances among q1 of u and q2 of v."""
        if self._pieces is not None:
            return math.sqrt(self.first.derivative_bound(q1) * self.second.derivative_bound(q2))
        return _bound(self._series[0].gradient_expansion(q1), self._series[1].gradient_expansion(q2))

    @cached_property
    def _pieces(self) -> tuple[Pieces, Pieces] | None:
        first, second = as_pieces(self.first), as_pieces(self.second)
        return None if first is None or second is None else (first, second)

    @cached_property
    def _series(self) -> tuple[Series, Series]:
        return as_series(self.first), as_series(self.second)


def cross(first: Dual, second: Dual) -> Dual | Cross:
    """Return the expectations of two functions; of one with itself, its own dual.

    Args:
        first: Function of u.
        second: Function of v.

    Example:
        >>> import torch
        >>> from similitude.kernels.duals import dual
        >>> one = torch.ones((), dtype=torch.float64)
        >>> float(cross(dual(torch.relu), dual(torch.abs)).covariance(one, one, one))
        0.5
    """
    return first if first is second else Cross(first, second)


def as_pieces(function: Dual) -> Pieces | None:
    """Return a dual's function as a piecewise polynomial, None where it is none."""
    if isinstance(function, Piecewise):
        return function.function
    if isinstance(function, Rectified):
        return Pieces({(None, 1): function.below, (0.0, 1): function.above - function.below})
    if isinstance(function, Step):
        return Pieces({(None, 0): function.below, (0.0, 0): function.above - function.below})
    return None


def as_series(function: Dual) -> Series:
    """Return the Hermite series of a dual's function, split where it has kinks."""
    if isinstance(function, Series):
        return function
    inner = as_pieces(function)
    kinks = [] if inner is None else [t for t, _ in inner.terms if t is not None]
    return Series(function.__call__, name=function.name, kinks=sorted(set(kinks)))


def _bound(first: Expansion, second: Expansion) -> float:
    if first.second.numel() == 0 or second.second.numel() == 0:
        return 0.0
    rests = float(first.rest.max()), float(second.rest.max())
    if first.terms == second.terms:
        return math.sqrt(rests[0] * rests[1])
    # Terms that one of them has beyond the other's end are left out too.
    sizes = float(first.second.max()), float(second.second.max())
    return max(math.sqrt(rests[0] * sizes[1]), math.sqrt(sizes[0] * rests[1]))
