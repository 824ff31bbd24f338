"""Whether the initial values of a parameter look like independent draws of one law around zero, as a limit needs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SIGMAS = 6.0
_FEWEST = 16  # entries, rows or neurons from which something is told


def unlike_draws(values: Tensor) -> str | None:
    """Return what speaks against independent draws of one law of mean 0, or None.

    Args:
        values: The parameter, its neurons along the first axis.

    Example:
        >>> import torch
        >>> unlike_draws(torch.eye(32))
        'its diagonal has the mean 1, 32 standard errors from 0'
        >>> unlike_draws(torch.randn(32, 32, generator=torch.Generator().manual_seed(0)))
    """
    values = values.detach().to("cpu", torch.float64)
    found = _off_zero(values.flatten(), "its mean is")
    if values.dim() < 2 or values.numel() < _FEWEST:
        return found
    matrix = values.flatten(1)
    if matrix.shape[0] == matrix.shape[1]:
        scale = float(matrix.square().mean().sqrt())
        found = found or _off_zero(matrix.diagonal(), "its diagonal has the mean", scale)
    return found or _uneven(matrix, "rows") or _uneven(matrix.T, "columns")


def _off_zero(values: Tensor, what: str, scale: float = 0.0) -> str | None:
    n = values.numel()
    if n < _FEWEST:
        return None
    mean = float(values.mean())
    error = (scale or float(values.std())) / math.sqrt(n)
    return _said(mean, error, what)


def off_zero(mean: float, number: int, square: float) -> str | None:
    """Return what speaks against a mean of 0, or None.

    Args:
        mean: Mean of the entries seen.
        number: How many they are.
        square: Their mean square.

    Example:
        >>> off_zero(0.2, 1000, 0.29), off_zero(0.01, 1000, 0.25)
        ('its mean is 0.2, 13 standard errors from 0', None)
    """
    if number < _FEWEST:
        return None
    return _said(mean, math.sqrt(max(0.0, square - mean**2) / number), "its mean is")


def _said(mean: float, error: float, what: str) -> str | None:
    if abs(mean) <= _SIGMAS * error or error == 0:
        return None
    return f"{what} {mean:.3g}, {abs(mean) / error:.0f} standard errors from 0"


def _uneven(matrix: Tensor, what: str) -> str | None:
    """Compare mean squares of rows by an analysis of variance."""
    rows, columns = matrix.shape
    if rows < _FEWEST or columns < 2:
        return None
    squares = matrix.square()
    within = float(squares.var(1).mean()) / columns
    between = float(squares.mean(1).var())
    limit = 1 + 2 * _SIGMAS * math.sqrt(2 / (rows - 1))
    if between <= limit * within or within == 0:
        return None
    low, high = (float(q) ** 0.5 for q in squares.mean(1).quantile(torch.tensor([0.1, 0.9]).double()))
    return f"its {what} have different scales, from {low:.3g} to {high:.3g}"
