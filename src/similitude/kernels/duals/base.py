"""Dual activations: expectations of a function of Gaussians, which is all that an infinite layer sees of it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from similitude.core.citation import cites

ROUNDINGS = 64
"""Roundings of the dtype that a closed form may make, relative to what it computes."""


@cites(8, "Section A: NNGP and NTK recursions")
class Dual(ABC):
    """The expectations of one function phi of centred Gaussians, entry by entry on tensors of covariances.

    Covariances `k` broadcast with variances `q1` and `q2`: for a Gram block k has shape (n, n'), q1 (n, 1) and q2
    (1, n'). Variances that are not expanded to the shape of k are cheaper. u and v are centred Gaussians with
    E u^2 = q1, E v^2 = q2, E uv = k; phi' is the derivative that autograd takes, which does not see jumps.

    Attributes:
        name: What users call the function.
        exact: Whether everything is a closed form; else a series, within `error_bound`.

    Example:
        >>> import torch
        >>> from similitude.kernels.duals import dual
        >>> relu, q = dual(torch.relu), torch.tensor(2.0, dtype=torch.float64)
        >>> float(relu.covariance(q, q, q)), float(relu.derivative(-q, q, q))
        (1.0, 0.0)
    """

    name: str
    exact: bool = True

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Return phi(x)."""

    @abstractmethod
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        """Return E phi(u) phi(v), of the shape that k, q1 and q2 have together."""

    @abstractmethod
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        """Return E phi'(u) phi'(v), of the shape that k, q1 and q2 have together."""

    @abstractmethod
    def mean(self, q: Tensor) -> Tensor:
        """Return E phi(u) for variances `q`."""

    @abstractmethod
    def slope(self, q: Tensor) -> Tensor:
        """Return E phi'(u) for variances `q`."""

    def stein(self, q: Tensor) -> Tensor:
        """Return E u phi(u) / q: the slope, with the jumps of phi counted. E phi(u) v = stein(q1) k by Stein's lemma."""
        return self.slope(q)

    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        """Return `covariance` and `derivative`, which share most of their work."""
        return self.covariance(k, q1, q2), self.derivative(k, q1, q2)

    def second(self, q: Tensor) -> Tensor:
        """Return E phi(u)^2 for variances `q`, without the rounding of a correlation that is almost 1."""
        return self.covariance(q, q, q)

    def steepness(self, q: Tensor) -> Tensor:
        """Return E phi'(u)^2 for variances `q`, without the rounding of a correlation that is almost 1."""
        return self.derivative(q, q, q)

    def diagonal(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return `second` and `steepness`: what the diagonal of a Gram block is, exactly."""
        return self.second(q), self.steepness(q)

    def error_bound(self, q: Tensor) -> float:
        """Return a bound on the error of `covariance` among variances `q`: of a closed form, what rounding may do."""
        return rounding(self.second(q))

    def derivative_bound(self, q: Tensor) -> float:
        """Return a bound on the error of `derivative` among variances `q`."""
        return rounding(self.steepness(q))

    def affine(self, scale: float = 1.0, shift: float = 0.0) -> Dual:
        """Return the dual of x -> phi(scale x + shift).

        Args:
            scale: Factor of the Gaussian.
            shift: What is added to it then: a bias that is a constant, not a draw.
        """
        moved = self if shift == 0 else self.shifted(shift)
        return moved if scale == 1 else Scaled(moved, scale)

    def shifted(self, shift: float) -> Dual:
        """Return the dual of x -> phi(x + shift)."""
        from similitude.kernels.duals.find import dual

        return dual(lambda x: self(x + shift), name=f"{self.name}(x + {shift:g})")

    def __repr__(self) -> str:
        return f"Dual({self.name}, {'exact' if self.exact else 'series'})"


class Scaled(Dual):
    """The dual of x -> phi(scale x)."""

    def __init__(self, inner: Dual, scale: float) -> None:
        self.inner, self.scale, self.square = inner, scale, scale**2
        self.name, self.exact = f"{inner.name}({scale:g} x)", inner.exact

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self.inner(self.scale * x)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self.inner.covariance(self.square * k, self.square * q1, self.square * q2)

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self.inner.derivative(self.square * k, self.square * q1, self.square * q2).mul_(self.square)

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        covariance, derivative = self.inner.both(self.square * k, self.square * q1, self.square * q2)
        return covariance, derivative.mul_(self.square)

    @override
    def mean(self, q: Tensor) -> Tensor:
        return self.inner.mean(self.square * q)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return self.inner.slope(self.square * q) * self.scale

    @override
    def stein(self, q: Tensor) -> Tensor:
        return self.inner.stein(self.square * q) * self.scale

    @override
    def second(self, q: Tensor) -> Tensor:
        return self.inner.second(self.square * q)

    @override
    def steepness(self, q: Tensor) -> Tensor:
        return self.inner.steepness(self.square * q) * self.square

    @override
    def error_bound(self, q: Tensor) -> float:
        return self.inner.error_bound(self.square * q)

    @override
    def derivative_bound(self, q: Tensor) -> float:
        return self.inner.derivative_bound(self.square * q) * self.square


def rounding(size: Tensor) -> float:
    """Return what rounding may add to values as large as `size`."""
    if size.numel() == 0:
        return 0.0
    return ROUNDINGS * torch.finfo(size.dtype).eps * float(size.abs().max())


def full(k: Tensor, q1: Tensor, q2: Tensor, value: float) -> Tensor:
    """Return a new tensor filled with `value`, of the shape and dtype of k, q1 and q2 together."""
    return torch.full(np.broadcast_shapes(k.shape, q1.shape, q2.shape), value, dtype=k.dtype, device=k.device)


def angle(k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
    """Return asin of the correlation and the root of q1 q2 - k^2, both accurate where the correlation is +-1.

    asin of a rounded correlation loses half the digits there; q1 q2 - k^2 as the product of (s - k) and (s + k) does not.
    """
    size = torch.mul(q1, q2).sqrt_()
    root = (size - k).mul_(size + k).clamp_(min=0).sqrt_()
    return torch.atan2(k.expand_as(root), root), root
