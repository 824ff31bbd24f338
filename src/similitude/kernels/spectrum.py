"""The eigenvalues and eigenvectors of a Gram matrix, and functions of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.solve import resolution


@dataclass(frozen=True)
class Spectrum:
    """A Gram matrix as V diag(values) V'.

    Attributes:
        values: Eigenvalues in ascending order, shape (n,), none below 0.
        vectors: V, shape (n, n), an eigenvector per column.
        resolution: Size below which an eigenvalue is rounding.
    """

    values: Tensor
    vectors: Tensor
    resolution: float

    def apply(self, function: Callable[[Tensor], Tensor], rhs: Tensor) -> Tensor:
        """Return V diag(function(values)) V' rhs.

        Args:
            function: Of the eigenvalues, elementwise.
            rhs: Shape (n, k).
        """
        return self.vectors @ (function(self.values)[:, None] * (self.vectors.T @ rhs))


def spectrum(gram: Tensor, *, name: str = "kernel") -> Spectrum:
    """Decompose a Gram matrix, in float64.

    Args:
        gram: Symmetric and positive semidefinite, shape (n, n).
        name: What messages call the kernel.

    Raises:
        KernelError: It has an eigenvalue below 0 that is no rounding.

    Example:
        >>> spectrum(torch.diag(torch.tensor([3.0, 1.0]))).values.tolist()
        [1.0, 3.0]

    Cost: about 9 n^3 operations, two more matrices of its size.
    """
    values, vectors = torch.linalg.eigh(gram.double())
    below = resolution(gram) * float(values[-1])
    if float(values[0]) < -10 * below:
        raise KernelError(
            f"the {name} is no covariance: its smallest eigenvalue is {float(values[0]):.3g}, the largest "
            f"{float(values[-1]):.3g}. A Gram matrix has none below 0: rows and columns may be in different orders, or "
            "the matrix was estimated with too few draws."
        )
    return Spectrum(values.clamp_min(0), vectors, below)
