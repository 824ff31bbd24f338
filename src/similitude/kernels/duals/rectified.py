"""Duals of functions with one kink, at 0: ReLU, leaky ReLU, |x|, and the steps; arc-cosine kernels of order 1 and 0.

Cho & Saul, Kernel methods for deep learning (2009), equations 3 to 6.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import override

from similitude.kernels.duals.base import Dual, angle, full
from similitude.kernels.duals.piecewise import Piecewise, pieces


class Rectified(Dual):
    """The dual of x -> below * min(x, 0) + above * max(x, 0).

    With m = (above + below) / 2 and d = (above - below) / 2 the function is m x + d |x|, so that
    E phi phi = m^2 k + d^2 (2/pi) (sqrt(q1 q2 - k^2) + k asin rho) and E phi' phi' = m^2 + d^2 (2/pi) asin rho.

    Args:
        below: Slope for x < 0; 0 for ReLU, 1 for the identity, -1 for |x|.
        above: Slope for x > 0.
        name: What users call it.

    Source: Cho & Saul (2009), equation 6 with n = 0, 1; here for any two slopes.
    """

    def __init__(self, below: float, above: float = 1.0, *, name: str = "leaky_relu") -> None:
        self.below, self.above, self.name = below, above, name
        self.linear = (above + below) / 2
        self.kinked = (above - below) / 2

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self.linear * x + self.kinked * x.abs()

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        if self.kinked == 0:
            return full(k, q1, q2, self.linear**2).mul_(k)
        asin, root = angle(k, q1, q2)
        return self._covariance(k, asin, root)

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        if self.kinked == 0:
            return full(k, q1, q2, self.linear**2)
        return self._derivative(angle(k, q1, q2)[0])

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        if self.kinked == 0:
            return self.covariance(k, q1, q2), self.derivative(k, q1, q2)
        asin, root = angle(k, q1, q2)
        covariance = self._covariance(k, asin, root)
        return covariance, self._derivative(asin)

    def _covariance(self, k: Tensor, asin: Tensor, root: Tensor) -> Tensor:
        # The root's memory is used again: a Gram block is as large as memory lets it be.
        covariance = root.addcmul_(k, asin).mul_(2 / math.pi * self.kinked**2)
        return covariance if self.linear == 0 else covariance.add_(k, alpha=self.linear**2)

    def _derivative(self, asin: Tensor) -> Tensor:
        return asin.mul_(2 / math.pi * self.kinked**2).add_(self.linear**2)

    @override
    def mean(self, q: Tensor) -> Tensor:
        return q.sqrt() * (self.kinked * math.sqrt(2 / math.pi))

    @override
    def slope(self, q: Tensor) -> Tensor:
        return torch.full_like(q, self.linear)

    @override
    def second(self, q: Tensor) -> Tensor:
        return q * (self.linear**2 + self.kinked**2)

    @override
    def steepness(self, q: Tensor) -> Tensor:
        return torch.full_like(q, self.linear**2 + self.kinked**2)

    @override
    def shifted(self, shift: float) -> Dual:
        return Piecewise(
            pieces((-math.inf, self.below * shift, self.below), (-shift, self.above * shift, self.above)),
            name=f"{self.name}(x + {shift:g})",
        )


class Step(Dual):
    """The dual of x -> below for x < 0, above for x > 0: sign (-1, 1), the unit step (0, 1).

    With m = (above + below) / 2 and d = (above - below) / 2, E phi phi = m^2 + d^2 (2/pi) asin rho. Autograd sees no
    jump: E phi' phi' = 0. At a variance of 0 the value at 0, m, is taken.

    Args:
        below: Value for x < 0.
        above: Value for x > 0.
        name: What users call it.

    Source: Cho & Saul (2009), equation 6 with n = 0.
    """

    def __init__(self, below: float, above: float, *, name: str) -> None:
        self.below, self.above, self.name = below, above, name
        self.middle = (above + below) / 2
        self.jump = (above - below) / 2

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self.middle + self.jump * x.sign()

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return angle(k, q1, q2)[0].mul_(2 / math.pi * self.jump**2).add_(self.middle**2)

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return full(k, q1, q2, 0.0)

    @override
    def mean(self, q: Tensor) -> Tensor:
        return torch.full_like(q, self.middle)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return torch.zeros_like(q)

    @override
    def stein(self, q: Tensor) -> Tensor:
        return self.jump * math.sqrt(2 / math.pi) / q.sqrt()

    @override
    def second(self, q: Tensor) -> Tensor:
        return (q > 0).to(q.dtype).mul_(self.jump**2).add_(self.middle**2)

    @override
    def shifted(self, shift: float) -> Dual:
        return Piecewise(
            pieces((-math.inf, self.below, 0.0), (-shift, self.above, 0.0)),
            name=f"{self.name}(x + {shift:g})",
        )
