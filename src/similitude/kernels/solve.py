"""Linear systems with a Gram matrix: by Cholesky or conjugate gradients, with a stated residual and clear refusals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.arguments import real
from similitude.kernels.conjugate_gradients import conjugate_gradients

DIRECT = 20_000
"""Training samples up to which systems are solved directly: at 20,000 the factor takes 3.2 GB and 2.7e12 operations."""

Method = Literal["auto", "direct", "conjugate gradients"]

_SHOWN = 3


@dataclass(frozen=True)
class Solved:
    """The solution of (G + shift) X = B.

    Attributes:
        solution: X, shape (n, k), float64.
        residual: Largest |G X + shift X - B| / |B| of a column.
        jitter: Part of the shift that is numerical alone.
        notes: What was done, in sentences.
    """

    solution: Tensor
    residual: float
    jitter: float
    notes: tuple[str, ...]


def solve(
    gram: Tensor,
    rhs: Tensor,
    *,
    ridge: float = 0.0,
    jitter: float = 0.0,
    method: Method = "auto",
    tolerance: float = 1e-6,
    name: str = "kernel",
) -> Solved:
    """Solve (gram + ridge + jitter * mean diagonal) X = rhs, or say why it cannot be.

    Args:
        gram: Symmetric and positive semidefinite, shape (n, n).
        rhs: Shape (n, k).
        ridge: Added to the diagonal, at least 0.
        jitter: Share of the mean diagonal that is added on top; nothing is added that was not asked for.
        method: "direct" (Cholesky), "conjugate gradients", or the first up to 20,000 samples.
        tolerance: Relative residual that conjugate gradients stop at.
        name: What messages call the kernel.

    Returns:
        The solution with its residual.

    Raises:
        KernelError: The matrix is singular or no covariance, or conjugate gradients do not get there.

    Cost: n^3 / 3 operations and two more matrices of the size of `gram` in float64, or n^2 per iteration.
    """
    ridge, added = shifts(gram, ridge, jitter)
    notes = () if not added else (said_of_jitter(jitter, added),)
    if method == "conjugate gradients" or (method == "auto" and gram.shape[0] > DIRECT):
        found = conjugate_gradients(gram, rhs, shift=ridge + added, tolerance=tolerance, name=name)
        said = (
            f"solved by {found.iterations} steps of conjugate gradients behind a pivoted Cholesky factor of rank "
            f"{found.rank}, to a relative residual of {found.residual:.1e}"
        )
        return Solved(found.solution, found.residual, added, (*notes, said))
    shifted, factor = factored(gram, ridge=ridge, jitter=added, name=name)
    solution = torch.cholesky_solve(rhs.double(), factor)
    return Solved(solution, _residual(shifted, solution, rhs.double()), added, notes)


def factored(gram: Tensor, *, ridge: float, jitter: float, name: str) -> tuple[Tensor, Tensor]:
    """Return G = gram + ridge + jitter in float64, and its lower Cholesky factor.

    Args:
        gram: Symmetric and positive semidefinite, shape (n, n).
        ridge: Added to the diagonal.
        jitter: Added on top of it, in the same unit.
        name: What messages call the kernel.

    Raises:
        KernelError: G is singular to the precision of `gram`.
    """
    shifted = gram.double().clone()
    shifted.diagonal().add_(ridge + jitter)
    factor, info = torch.linalg.cholesky_ex(shifted)
    smallest = 0.0 if int(info) else float(factor.diagonal().square().min())
    if smallest <= resolution(gram) * float(shifted.diagonal().max()):
        raise _singular(gram, name, ridge=ridge)
    return shifted, factor


def shifts(gram: Tensor, ridge: float, jitter: float) -> tuple[float, float]:
    """Return ridge and jitter in the unit of the matrix.

    Raises:
        KernelError: One of them is no number, negative or not finite.
    """
    jitter = real("jitter", jitter, remedy="Pass the share of the mean diagonal that is added, e.g. 1e-8.")
    return checked_ridge(ridge), jitter * float(gram.diagonal().double().mean())


def checked_ridge(ridge: float) -> float:
    """Return a ridge.

    Raises:
        KernelError: It is no number, negative or not finite.
    """
    return real("ridge", ridge, remedy="Pass what is added to the diagonal, e.g. 0.1.")


def said_of_jitter(jitter: float, added: float) -> str:
    """Say that a jitter was added, which is never done unasked."""
    return f"{added:.3g} ({jitter:.3g} of the mean diagonal) was added to the training diagonal, as asked by jitter="


def resolution(gram: Tensor) -> float:
    """Return the relative size below which an eigenvalue of a stored matrix is rounding."""
    return gram.shape[0] * torch.finfo(gram.dtype).eps


def _singular(gram: Tensor, name: str, *, ridge: float) -> KernelError:
    """Return the error that says why a Gram matrix has no inverse, with the samples that are to blame."""
    n, bits = gram.shape[0], str(gram.dtype).removeprefix("torch.")
    remedy = "pass a ridge (ridge='loo' chooses one), a finite time=, or jitter=1e-8 to add so much of the mean diagonal"
    after = f" with a ridge of {ridge:.3g}" if ridge else ""
    pairs = _twins(gram)
    if pairs:
        shown = ", ".join(f"{i} and {j}" for i, j in pairs[:_SHOWN])
        more = f" and {len(pairs) - _SHOWN} more pairs" if len(pairs) > _SHOWN else ""
        return KernelError(
            f"the {name} of {n} training samples is singular{after}: samples {shown}{more} are the same to the kernel "
            f"(up to a factor), so that no fit can meet different targets on them. Remove one of each pair, or {remedy}."
        )
    values = torch.linalg.eigvalsh(gram.double())
    rank = int((values > resolution(gram) * float(values[-1])).sum())
    return KernelError(
        f"the {name} of {n} training samples is singular in {bits}{after}: {n - rank} of its {n} eigenvalues are below "
        f"{resolution(gram):.1e} of the largest, {float(values[-1]):.4g}. Use fewer samples or float64, or {remedy}."
    )


def _twins(gram: Tensor, part: int = 1024) -> list[tuple[int, int]]:
    """Return the pairs of samples whose correlation is 1 to rounding."""
    scale = gram.diagonal().double().sqrt()
    zero = (scale == 0).nonzero().flatten().tolist()
    found = list(pairwise(zero))
    for start in range(0, gram.shape[0], part):
        rows = gram[start : start + part].double()
        near = rows >= (1 - 4 * torch.finfo(gram.dtype).eps) * torch.outer(scale[start : start + part], scale)
        near &= (scale > 0) & torch.ones_like(near).triu(start + 1)
        found += [(start + i, j) for i, j in near.nonzero().tolist()]
    return sorted(found)


def _residual(matrix: Tensor, solution: Tensor, rhs: Tensor) -> float:
    size = rhs.norm(dim=0)
    left = (matrix @ solution - rhs).norm(dim=0)
    return float((left / torch.where(size > 0, size, 1.0)).max())
