"""Conjugate gradients for Gram matrices too large to factor, behind a pivoted Cholesky preconditioner."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import KernelError

_ROWS = 4096  # of a matrix that are turned to float64 at a time


@dataclass(frozen=True)
class CgSolution:
    """The solution of (G + shift) X = B by conjugate gradients.

    Attributes:
        solution: X, shape (n, k), float64.
        residual: Largest |G X + shift X - B| / |B| of a column, computed anew from X in float64.
        iterations: Products with G.
        rank: Rank of the preconditioner.
    """

    solution: Tensor
    residual: float
    iterations: int
    rank: int


def conjugate_gradients(
    gram: Tensor,
    rhs: Tensor,
    *,
    shift: float = 0.0,
    tolerance: float = 1e-6,
    rank: int = 200,
    most: int = 2000,
    name: str = "kernel",
) -> CgSolution:
    """Solve (gram + shift) X = rhs by products alone, with the tools of `linear_operator` (part of GPyTorch).

    The matrix may be mapped from disk and of float32: products are taken in float64, some rows at a time. Steps are
    preconditioned by L L' + s, L the pivoted Cholesky factor of the given rank and s the shift or what L leaves of the
    mean diagonal.

    Args:
        gram: Symmetric and positive semidefinite, shape (n, n).
        rhs: Shape (n, k).
        shift: Added to the diagonal.
        tolerance: Relative residual of every column that is asked for.
        rank: Rank of the preconditioner; 0 for none.
        most: Most iterations.
        name: What messages call the kernel.

    Returns:
        The solution with the residual that it really has.

    Raises:
        KernelError: The residual is above the tolerance after `most` iterations.
        ImportError: `linear_operator` is not installed.

    Example:
        >>> found = conjugate_gradients(torch.diag(torch.tensor([1.0, 2.0])), torch.ones(2, 1), rank=1)
        >>> [round(v, 6) for v in found.solution.flatten().tolist()]
        [1.0, 0.5]

    Source: Gardner et al., arXiv 1809.11165, sections 3 and 4.1. Cost: n^2 k operations per iteration, n^2 / 2 rank to
    prepare.
    """
    cg = _linear_operator().utils.linear_cg
    n, rhs = gram.shape[0], rhs.double()
    # The solver's safeguards are absolute numbers: the matrix is scaled to a diagonal of about 1.
    scale = float(gram.diagonal().double().mean()) + shift
    products = 0

    def times(vectors: Tensor) -> Tensor:
        nonlocal products
        products += 1
        found = torch.cat([gram[i : i + _ROWS].double() @ vectors for i in range(0, n, _ROWS)])
        return found.add_(vectors, alpha=shift).div_(scale)

    factor = _pivoted_cholesky(gram, min(rank, n)) if rank else gram.new_zeros(n, 0, dtype=torch.float64)
    solution, residual = torch.zeros_like(rhs), float("inf")
    size = rhs.norm(dim=0)
    size = torch.where(size > 0, size, 1.0)
    precondition = _preconditioner(gram, factor, shift, scale)
    while True:
        left = rhs / scale - times(solution)
        residual = float((scale * left.norm(dim=0) / size).max())
        if residual <= tolerance or products >= most:
            break
        with warnings.catch_warnings():  # that it stopped early: the residual is looked at here
            warnings.simplefilter("ignore")
            step = cg(
                times,
                left,
                tolerance=0.5 * tolerance / residual if residual > tolerance else tolerance,
                eps=1e-40,
                stop_updating_after=1e-14,
                max_iter=max(1, most - products),
                max_tridiag_iter=0,
                preconditioner=precondition,
            )
        solution = solution + step
        if not torch.isfinite(step).all():
            break
    if not residual <= tolerance:
        raise KernelError(
            f"conjugate gradients with the {name} of {n} samples are at a relative residual of {residual:.2g} after "
            f"{products} products, and {tolerance:.2g} was asked for. Pass a larger ridge (now {shift:.3g}), or a larger "
            f"rank than {rank} for the preconditioner."
        )
    return CgSolution(solution, residual, products, factor.shape[1])


def _pivoted_cholesky(gram: Tensor, rank: int) -> Tensor:
    """Return L with L L' near the matrix: the rows of the largest pivots, one after another."""
    lazy = _linear_operator().to_linear_operator(
        gram.detach()
    )  # reads the diagonal and the rows of its pivots alone
    return lazy.pivoted_cholesky(rank=rank, error_tol=1e-12).double()


def _preconditioner(
    gram: Tensor, factor: Tensor, shift: float, scale: float
) -> Callable[[Tensor], Tensor] | None:
    """Return v -> (L L' + s)^-1 v by Woodbury's identity."""
    if not factor.shape[1]:
        return None
    left = (gram.diagonal().double() - factor.square().sum(1)).clamp_min(0).mean()
    s = max(shift, float(left), 1e-12 * scale)
    inner = factor.T @ factor
    inner.diagonal().add_(s)
    inverse = torch.linalg.cholesky(inner)
    return lambda v: (v - factor @ torch.cholesky_solve(factor.T @ v, inverse)) * (scale / s)


def _linear_operator() -> Any:
    try:
        import linear_operator
        import linear_operator.utils
    except ImportError as error:
        raise ImportError(
            "Gram matrices this large are solved with the package linear_operator, which is not installed: pip install "
            "'similitude[kernels]'. Or take fewer samples."
        ) from error
    return linear_operator
