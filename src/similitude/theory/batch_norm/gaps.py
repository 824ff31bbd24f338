"""How far a batch is from an isometry, by its rows and its samples, and how fast batch norm brings it there (paper 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import whole


@cites(3, "isometry gap")
def isometry_gap(x: Tensor) -> float:
    """Return log mean_i s_i^2 - mean_i log s_i^2 of the singular values s of a batch: 0 where rows are orthogonal.

    Args:
        x: Features times samples, shape (d, n), or samples times features: the gap is the same. Also a weight matrix.

    Returns:
        The gap, of the first min(d, n) singular values; infinite where the matrix lacks rank at its precision.

    Raises:
        TheoryError: It is no finite matrix, or zero.

    Example:
        >>> isometry_gap(torch.eye(3)), round(isometry_gap(torch.diag(torch.tensor([1.0, 3.0]))), 4)
        (0.0, 0.5108)

    Cost: one singular value decomposition, O(d n min(d, n)).
    """
    values = torch.linalg.svdvals(matrix("x", x))
    if float(values[-1]) <= precision(x) * float(values[0]):
        return math.inf
    # squares relative to the largest: no overflow
    squares = (values / values[0]).square()
    return max(float(squares.mean().log() - squares.log().mean()), 0.0)


@cites(3, "orthogonality gap")
def orthogonality_gap(x: Tensor) -> float:
    """Return |X'X / |X|^2 - I / n|_F of a batch: 0 where samples are orthogonal and of equal norm.

    Args:
        x: Features times samples, shape (d, n).

    Raises:
        TheoryError: It is no finite matrix, or zero.

    Example:
        >>> round(orthogonality_gap(torch.eye(3)), 6), round(orthogonality_gap(torch.ones(3, 2)), 4)
        (0.0, 0.7071)
    """
    given = matrix("x", x)
    given = given / given.norm()
    features, samples = given.shape
    if samples <= features:
        gram = given.T @ given
        return float((gram - torch.eye(samples, dtype=gram.dtype) / samples).norm())
    # |X'X|_F = |XX'|_F, and XX' is the smaller one
    return math.sqrt(max(float((given @ given.T).square().sum()) - 1 / samples, 0.0))


def isometry_rate(width: int) -> float:
    """Return the factor d / (d + 2) by which one layer multiplies a small isometry gap, in the mean over its weights.

    One layer is a Haar-orthogonal matrix and batch norm without mean removal. Its rotation spreads the deviation
    E = XX'/n - I evenly, and batch norm takes the diagonal away: 2 / (d + 2) of its square. Theorem 1 of the paper
    bounds the rate by an order of d^-2; this is exact near isometry.

    Args:
        width: Features d.

    Raises:
        TheoryError: The width is no whole number of at least 1.

    Example:
        >>> isometry_rate(8)
        0.8
    """
    d = whole("width", width)
    return d / (d + 2)


def matrix(name: str, x: Tensor) -> Tensor:
    """Return a matrix in float64 on the CPU.

    Raises:
        TheoryError: It is no finite real matrix, or zero.
    """
    if not isinstance(x, Tensor) or x.ndim != 2 or not x.numel() or x.is_complex():
        found = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
        raise TheoryError(f"{name} has {found}: pass a real matrix, features times samples.")
    given = x.detach().to("cpu", torch.float64)
    if not torch.isfinite(given).all():
        raise TheoryError(f"{name} has entries that are not finite. Look for nan or inf in the inputs.")
    largest = float(given.abs().max())
    if not largest:
        raise TheoryError(f"{name} is zero: batch norm would divide by 0. Pass inputs that differ.")
    return given / largest


def precision(x: Tensor) -> float:
    """Return the share of the largest singular value below which one is rounding: 1e-7 in float64, 1e-3 below float32.

    Example:
        >>> precision(torch.ones(1)), precision(torch.ones(1, dtype=torch.float64))
        (1e-05, 1e-07)
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        return 1e-3
    return 1e-5 if x.dtype == torch.float32 else 1e-7
