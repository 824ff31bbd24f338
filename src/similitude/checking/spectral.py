"""Spectral size of weights and updates: natural norm, stable rank and alignment of paper 7, Condition 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from similitude.core.citation import cites

_DENSE = 640  # smaller sides up to here are decomposed exactly
_ITERATIONS = 40


def spectral_norm(matrix: Tensor, *, seed: int = 0) -> float:
    """Return the largest singular value of a matrix.

    Exact where the smaller side is at most 640; by power iteration on the smaller Gram matrix beyond it, which
    falls short by a percent or so where no singular value stands out.

    Args:
        matrix: Shape (rows, columns), of any floating-point type.
        seed: Seed of the first vector of the iteration.

    Example:
        >>> round(spectral_norm(torch.diag(torch.tensor([3.0, 4.0]))), 6)
        4.0

    Cost: O(rows x columns x min(rows, columns)) time.
    """
    values = matrix.detach().to(torch.float64)
    if values.numel() == 0:
        return 0.0
    gram = values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values
    if not torch.isfinite(gram).all():
        return math.nan
    if gram.shape[0] <= _DENSE:
        return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1])))
    generator = torch.Generator(gram.device).manual_seed(seed)
    vector = torch.randn(gram.shape[0], generator=generator, dtype=gram.dtype, device=gram.device)
    square = 0.0
    for _ in range(_ITERATIONS):
        vector = gram @ vector
        length = float(vector.norm())
        if length == 0.0:
            return 0.0
        vector, square = vector / length, length
    return math.sqrt(square)


@cites(7, "Condition 1: sqrt(fan_in / fan_out) times the spectral norm stays the same at every width")
def natural_norm(matrix: Tensor, *, top: float | None = None) -> float:
    """Return the spectral norm in units of sqrt(fan_out / fan_in): by how much a matrix stretches root mean squares.

    Args:
        matrix: Shape (fan_out, fan_in).
        top: Its spectral norm, where that is known already.

    Example:
        >>> round(natural_norm(torch.eye(7)), 6), round(natural_norm(torch.ones(4, 16)), 6)
        (1.0, 16.0)
    """
    rows, columns = matrix.shape
    return (spectral_norm(matrix) if top is None else top) * math.sqrt(columns / rows)


@cites(7, "Section 4: updates have a low stable rank")
def stable_rank(matrix: Tensor, *, top: float | None = None) -> float:
    """Return the squared Frobenius norm over the squared spectral norm; nan for a matrix of zeros.

    Args:
        matrix: Shape (rows, columns).
        top: Its spectral norm, where that is known already.

    Example:
        >>> round(stable_rank(torch.eye(5)), 6), round(stable_rank(torch.ones(3, 5)), 6)
        (5.0, 1.0)
    """
    top = spectral_norm(matrix) if top is None else top
    return float(matrix.detach().to(torch.float64).square().sum()) / top**2 if top > 0 else math.nan


@cites(7, "Claim 1: updates are aligned with the layer's inputs")
def alignment(update: Tensor, inputs: Tensor, *, top: float | None = None) -> float:
    """Return |update h| / (|update| |h|), between 0 and 1, over all inputs together.

    Args:
        update: Shape (fan_out, fan_in).
        inputs: Inputs of the layer in their last dimension, shape (..., fan_in).
        top: Spectral norm of the update, where that is known already.

    Returns:
        1 where every input is a top singular vector; nan where the update or all inputs are zero.

    Example:
        >>> round(alignment(torch.ones(3, 4), torch.ones(2, 4)), 6)
        1.0
    """
    h = inputs.detach().reshape(-1, inputs.shape[-1]).to(torch.float64)
    d = update.detach().to(torch.float64)
    bound = (spectral_norm(d) if top is None else top) * float(h.norm())
    return float((h @ d.T).norm()) / bound if bound > 0 else math.nan
