"""Draws of Gaussian attention logits of two sequences, and of the products of their softmaxes."""

from __future__ import annotations

import torch
from torch import Tensor

NEGLIGIBLE = 1e-12
"""Eigenvalue of a covariance, relative to the largest, below which a direction is not drawn."""


class Factors:
    """Factors of the joint covariance of one value over the positions of two sequences.

    The value is A z over the first sequence and B z + C z' over the second, for independent standard normals z, z'; at
    equal sequences B = A and C = 0 hold exactly enough that their logits are the same draws.

    Args:
        left: Covariance over the first sequence, shape (..., L, L).
        right: Covariance over the second, shape (..., R, R).
        cross: Covariance between both, shape (..., L, R).
    """

    def __init__(self, left: Tensor, right: Tensor, cross: Tensor) -> None:
        self.same = (
            left.shape == right.shape == cross.shape and torch.equal(left, cross) and torch.equal(left, right)
        )
        values, vectors = _spectrum(left)
        self.A = vectors * values.sqrt()[..., None, :]
        self.B, self.C = self.A, torch.zeros_like(self.A[..., :, :0])
        if self.same:
            return
        inverse = torch.where(values > 0, values.clamp_min(1e-300).rsqrt(), 0.0)
        self.B = cross.mT @ (vectors * inverse[..., None, :])
        rest = right - self.B @ self.B.mT
        largest = right.diagonal(dim1=-2, dim2=-1).amax(-1)
        values, vectors = _spectrum(rest, largest)
        self.C = vectors * values.sqrt()[..., None, :]


class Logits:
    """Gaussian logits of two sequences, with covariance Q(a, a') K(c, c').

    Args:
        queries: Factors of the queries.
        keys: Factors of the keys.
        scale: Factor of the logits.
        masks: Added to the logits of either sequence; None for none.
    """

    def __init__(
        self, queries: Factors, keys: Factors, *, scale: float, masks: tuple[Tensor, Tensor] | None
    ) -> None:
        self.queries, self.keys, self.scale, self.masks = queries, keys, scale, masks
        self.same = queries.same and keys.same
        self.rows = queries.A.shape[-1] + queries.C.shape[-1]
        self.columns = keys.A.shape[-1] + keys.C.shape[-1]

    @property
    def dimensions(self) -> int:
        """Normals of one draw."""
        return self.rows * self.columns

    def softmaxes(self, normals: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attention weights of both sequences, shapes (draws, ..., L, keys) and (draws, ..., R, keys').

        Args:
            normals: Standard normals, shape (draws, dimensions).
        """
        A, B, C = self.queries.A, self.queries.B, self.queries.C
        a, b, c = self.keys.A, self.keys.B, self.keys.C
        batch = (1,) * (max(A.dim(), a.dim(), B.dim(), b.dim()) - 2)
        z = normals.reshape(len(normals), *batch, self.rows, self.columns)
        size, width = A.shape[-1], a.shape[-1]
        first = A @ z[..., :size, :width] @ a.mT
        left = self._softmax(first, 0)
        if self.same and (self.masks is None or self.masks[0] is self.masks[1]):
            return left, left
        if self.same:
            return left, self._softmax(first, 1)
        # (B z11 + C z21) b' + (B z12 + C z22) c'
        second = B @ z[..., :size, :] + C @ z[..., size:, :]
        return left, self._softmax(second[..., :width] @ b.mT + second[..., width:] @ c.mT, 1)

    def _softmax(self, logits: Tensor, sequence: int) -> Tensor:
        logits = logits * self.scale
        return torch.softmax(logits if self.masks is None else logits + self.masks[sequence], -1)


def _spectrum(matrix: Tensor, largest: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, those that are rounding set to 0, and eigenvectors as columns, largest first."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    top = values[..., -1] if largest is None else largest
    values = torch.where(values > NEGLIGIBLE * top[..., None].clamp_min(0), values, 0.0)
    return values.flip(-1), vectors.flip(-1)
