"""Symmetric linear operators known by their products alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.errors import CurvatureError


@dataclass(frozen=True)
class Operator:
    """A symmetric linear operator on flat vectors.

    Attributes:
        matvec: Maps a vector of shape (dim,) to its product, of the same shape.
        dim: Number of rows and columns.
        dtype: Of the vectors.
        device: Of the vectors.

    Example:
        >>> double = Operator(lambda v: 2 * v, 3)
        >>> double.matvec(torch.ones(3))
        tensor([2., 2., 2.])
    """

    matvec: Callable[[Tensor], Tensor]
    dim: int
    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")  # noqa: RUF009

    def product(self, vector: Tensor) -> Tensor:
        """Multiply a vector, and see that the result is finite.

        Raises:
            CurvatureError: It is not.
        """
        image = self.matvec(vector)
        if not bool(image.isfinite().all()):
            raise CurvatureError(
                "a product with the operator is not finite, so it has no eigenvalues to find. Values overflow: training "
                "is about to diverge, or the precision is too low; if it is half, measure a float32 copy of the model."
            )
        return image

    def scaled(self, scale: Tensor, shift: Tensor | None = None) -> Operator:
        """Return diag(scale) (A + diag(shift)) diag(scale).

        Args:
            scale: Shape (dim,).
            shift: Shape (dim,), or None for none.
        """

        def product(vector: Tensor) -> Tensor:
            inner = scale * vector
            outer = self.matvec(inner)
            return scale * (outer if shift is None else outer + shift * inner)

        return Operator(product, self.dim, self.dtype, self.device)
